"""Tables to look at beside an asset: RFM as a heat map, and the sizes of segments over time.

Here: how they are drawn. Not here: anything of a single contact; counts and sums only (see `previews`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import dagster as dg
import duckdb

from eventpipe.defs.metadata import Metadata

MOST_RUNS: Final = 12
MOST_SEGMENTS: Final = 20
_SHADES: Final = "░▒▓█"


def heat_map(connection: duckdb.DuckDBPyConnection) -> Metadata:
    """Of `contact_rfm`: r_score by f_score in the currency that most contacts ordered in, with counts and net money."""
    found = connection.execute("""
        with most as (select currency from main.contact_rfm group by currency order by count(*) desc, currency limit 1)
        select r_score, f_score, count(*), sum(monetary)::decimal(38, 0), any_value(currency)
        from main.contact_rfm semi join most using (currency) group by r_score, f_score
    """).fetchall()
    if not found:
        return {}
    cells = {(r, f): (int(contacts), int(money)) for r, f, contacts, money, _ in found}
    scores = range(1, max(5, *(max(r, f) for r, f in cells)) + 1)
    most = max(contacts for contacts, _ in cells.values())
    lines = [
        f"| recency \\\\ frequency | {' | '.join(f'F{f}' for f in scores)} |",
        f"| --- |{' ---: |' * len(scores)}",
        *(f"| **R{r}** | {' | '.join(_cell(cells.get((r, f)), most) for f in scores)} |" for r in reversed(scores)),
        "",
        f"Contacts and their net money in {found[0][4]}; the darker, the more contacts.",
    ]
    return {"heat_map": dg.MetadataValue.md("\n".join(lines))}


def sizes_metadata(connection: duckdb.DuckDBPyConnection) -> Metadata:
    """Of `segment_members`: how many members each segment has, as numbers that Dagster draws over time, and a table of
    the sizes after the last runs that changed any."""
    sizes = connection.execute(f"""
        select segment, count(*) filter (where left_at is null) as members
        from main.segment_history group by segment order by members desc, segment limit {MOST_SEGMENTS}
    """).fetchall()
    if not sizes:
        return {}
    metadata: Metadata = {f"members/{name}": int(members) for name, members in sizes}
    names = [name for name, _ in sizes]
    # A membership is one more when it is entered and one less when it is left: no run's state is read again.
    rows = connection.execute(f"""
        with turns as (
            select segment, entered_at as as_of, 1 as turn from main.segment_history
            union all
            select segment, left_at, -1 from main.segment_history where left_at is not null
        ),
        instants as (select distinct as_of from turns order by as_of desc limit {MOST_RUNS})
        select instants.as_of, turns.segment, sum(turns.turn)::bigint
        from instants inner join turns on turns.as_of <= instants.as_of group by all order by all
    """).fetchall()
    sizes_at: dict[object, dict[str, int]] = {}
    for as_of, segment, members in rows:
        sizes_at.setdefault(as_of, {})[segment] = int(members)
    lines = [
        f"| as of | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
        *(
            f"| {as_of:%Y-%m-%d %H:%M} | {' | '.join(f'{members.get(name, 0):,}' for name in names)} |"
            for as_of, members in sorted(sizes_at.items(), key=lambda each: str(each[0]))
        ),
    ]
    return {**metadata, "sizes": dg.MetadataValue.md("\n".join(lines))}


def _cell(cell: tuple[int, int] | None, most: int) -> str:
    if cell is None:
        return ""
    contacts, money = cell
    shade = _SHADES[min(len(_SHADES) - 1, contacts * len(_SHADES) // most)]
    return f"{shade} {contacts:,} · {money:,}"


HEAT_MAPS: Final[Mapping[str, Callable[[duckdb.DuckDBPyConnection], Metadata]]] = {"contact_rfm": heat_map}
"""What is drawn of which model's table."""
