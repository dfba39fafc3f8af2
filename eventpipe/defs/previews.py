"""A few counts of each table, as people see them beside an asset.

Here: what may be shown of which table. Not here: its rows, identifiers, properties, lines as they were sent: what
Dagster keeps is not erased with a contact (spec 5, "Security and privacy"). Shown are names that the project chose,
closed sets of values, numbers, and of event names, which senders choose, those that look like names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import duckdb

MOST_ROWS: Final = 5

_EVENT: Final = (
    r"case when regexp_full_match(event_name, '[\pL\pN_ .:/-]{1,60}') and not regexp_matches(event_name, '\pN{5}')"
    " then event_name else '(withheld)' end as event"
)
# What follows the code can be a property's name, which senders choose.
_REASON: Final = "split_part(reason, ':', 1) as reason"

PREVIEWS: Final[Mapping[str, str]] = {
    "contact_goals": "goal_type as goal, count(*) as rows, sum(event_count)::bigint as events",
    "contact_identifiers": "identifier_type as type, count(*) as identifiers",
    "contact_timeline": "entry_type as entry, count(*) as entries",
    "contacts": "if(is_anonymous, 'anonymous', 'known') as contact, count(*) as contacts,"
    " sum(event_count)::bigint as events",
    "event_catalog": f"{_EVENT}, sum(events)::bigint as events, sum(rejected)::bigint as rejected",
    "event_history": "status, count(*) as reports",
    "event_versions": "status, count(*) as versions",
    "event_volume_daily": "day::varchar as day, sum(accepted)::bigint as accepted,"
    " sum(rejected)::bigint as rejected, sum(duplicates)::bigint as duplicates, sum(late)::bigint as late",
    "events": f"{_EVENT}, count(*) as events",
    "identity_nodes": "identifier_type as type, count(*) as identifiers, count(distinct contact_id) as contacts",
    "ledger": "source, status, count(*) as exports, sum(lines)::bigint as lines, sum(accepted)::bigint as accepted,"
    " sum(rejected)::bigint as rejected, sum(blank)::bigint as blank",
    "rejected_events": f"{_REASON}, count(*) as lines",
}
"""What is counted of a table, in groups of all that is no count."""

_FROM: Final[Mapping[str, str]] = {"rejected_events": "(select unnest(reasons) as reason from {})"}
_ORDER: Final[Mapping[str, str]] = {"event_volume_daily": "day desc", "ledger": "source, status"}
"""The order where it is not that of the first count, the largest first."""


def preview(connection: duckdb.DuckDBPyConnection, table: str, relation: str) -> str | None:
    """The preview of a table that lies at `relation`, as a Markdown table; None where there is none for it."""
    counted = PREVIEWS.get(table)
    if counted is None:
        return None
    rows = _FROM.get(table, "{}").format(relation)
    order = _ORDER.get(table, "columns('events|rows|identifiers|entries|contacts|reports|versions|lines') desc")
    found = connection.execute(f"select {counted} from {rows} group by all order by all")
    columns = [column[0] for column in found.description or ()]
    return markdown(columns, found.fetchall())


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table of at most `MOST_ROWS` rows, numbers to the right; a last line says when there are more."""
    rows = list(rows)
    shown = rows[:MOST_ROWS]
    right = [all(isinstance(row[place], int) for row in shown) for place in range(len(columns))]
    lines = [
        _line(columns),
        _line("---:" if is_right else "---" for is_right in right),
        *(_line(f"{cell:,}" if isinstance(cell, int) else _plain(cell) for cell in row) for row in shown),
    ]
    if len(rows) > MOST_ROWS:
        lines.append(_line(["...", *[""] * (len(columns) - 1)]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(cell: object) -> str:
    """Text that Markdown does not read as anything else."""
    return "" if cell is None else "".join(f"\\{each}" if each in r"\`*_{}[]<>()#!|" else each for each in str(cell))
