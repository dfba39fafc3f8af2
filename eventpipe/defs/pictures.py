"""Pictures to look at beside an asset: RFM as a heat map, and the sizes of segments over time.

Here: what they show. Not here: how they are drawn (see `charts`), nor anything of a single contact: counts and sums only
(see `previews`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Final

import duckdb

from eventpipe.defs.charts import Cell, Line, grid, lines, markdown_image
from eventpipe.defs.metadata import Metadata

MOST_CURRENCIES: Final = 3
MOST_INSTANTS: Final = 100
MOST_LINES: Final = 8
MOST_SEGMENTS: Final = 20


def heat_maps(connection: duckdb.DuckDBPyConnection) -> Metadata:
    """Of `contact_rfm`: r_score by f_score with contacts and their net money, for each of the currencies that most
    contacts ordered in."""
    found = connection.execute(f"""
        with most as (
            select currency, count(*) as contacts, greatest(max(r_score), max(f_score)) as highest
            from main.contact_rfm group by currency order by contacts desc, currency limit {MOST_CURRENCIES}
        )
        select currency, highest, r_score, f_score, count(*), sum(monetary)::decimal(38, 0)
        from main.contact_rfm inner join most using (currency)
        group by currency, most.contacts, highest, r_score, f_score order by most.contacts desc, currency
    """).fetchall()
    maps: Metadata = {}
    for (currency, highest), rows in groupby(found, key=lambda row: (row[0], row[1])):
        cells = {
            (f"R{r}", f"F{f}"): Cell(contacts, f"{contacts:,}", f"{int(money):,} {currency}")
            for _, _, r, f, contacts, money in rows
        }
        scores = range(1, highest + 1)
        picture = grid([f"R{r}" for r in reversed(scores)], [f"F{f}" for f in scores], cells)
        told = f"Contacts and their net money in {currency}, by r_score (up) and f_score (right)"
        maps[f"heat_map/{currency}"] = markdown_image(picture, told)
    return maps


def sizes_metadata(connection: duckdb.DuckDBPyConnection) -> Metadata:
    """Of `segment_history`: how many members each segment has, as numbers that Dagster draws over its runs, and a picture
    of the sizes as of the instants at which any changed, up to the last judgement."""
    sizes = connection.execute(f"""
        select segment, count(*) filter (where left_at is null) as members
        from main.segment_history group by segment order by members desc, segment limit {MOST_SEGMENTS}
    """).fetchall()
    if not sizes:
        return {}
    # A membership is one more when it is entered and one less when it is left: no run's state is read again.
    rows = connection.execute(f"""
        with turns as (
            select segment, entered_at as as_of, count(*) as turn from main.segment_history group by all
            union all
            select segment, left_at, -count(*) from main.segment_history where left_at is not null group by all
        ),
        instants as (
            select distinct as_of from (select as_of from turns union all select as_of from work.judged_run)
            order by as_of desc limit {MOST_INSTANTS}
        )
        select turns.segment, instants.as_of,
            coalesce(sum(turns.turn) filter (where turns.as_of <= instants.as_of), 0)::bigint
        from instants cross join turns group by all order by all
    """).fetchall()
    points: dict[str, list[tuple[datetime, int]]] = {}
    for segment, as_of, members in rows:
        points.setdefault(segment, []).append((as_of, members))
    drawn = [Line(f"{name} {members:,}", points[name]) for name, members in sizes[:MOST_LINES]]
    more = f", the {MOST_LINES} largest of {len(points)}" if len(points) > MOST_LINES else ""
    return {
        "sizes_over_time": markdown_image(lines(drawn), f"Members of each segment over time{more}"),
        **{f"members of {name}": int(members) for name, members in sizes},
    }


PICTURES: Final[Mapping[str, Callable[[duckdb.DuckDBPyConnection], Metadata]]] = {"contact_rfm": heat_maps}
"""What is drawn of which model's table."""
