"""A few counts of each table, as people see them beside an asset.

Here: what may be shown of which table. Not here: its rows, identifiers, properties, lines as they were sent: what
Dagster keeps is not erased with a contact. Shown are names that the project chose,
closed sets of values, numbers, and of event names, which senders choose, those that look like names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import duckdb

MOST_ROWS: Final = 5

# What senders choose freely is shown where it looks like a name.
_EVENT: Final = r"""
    if(
        regexp_full_match(event_name, '[\pL\pN_ .:/-]{1,60}') and not regexp_matches(event_name, '\pN{5}'),
        event_name, '(withheld)'
    ) as event"""

PREVIEWS: Final[Mapping[str, str]] = {
    "automation_triggers": """
        select automation, count(*) as triggers, max(fired_at)::varchar as last_fired_at
        from this_table group by automation order by triggers desc, automation""",
    "trigger_decisions": """
        select automation, status, coalesce(reason, '') as reason, count(*) as candidates
        from this_table group by all order by candidates desc, automation, status, reason""",
    "contact_goals": """
        select goal_type as goal, count(*) as rows, sum(event_count)::bigint as events
        from this_table group by goal order by rows desc, goal""",
    "contact_identifiers": """
        select identifier_type as type, count(*) as identifiers
        from this_table group by type order by identifiers desc, type""",
    "contact_aliases": """
        select if(alias_id = contact_id, 'its own', 'another contact') as held_by, count(*) as ids
        from this_table group by held_by order by ids desc""",
    "contact_merges": """
        select strftime(effective_at, '%Y-%m') as month, count(*) as merges
        from this_table group by month order by month desc""",
    "contact_rfm": """
        select rfm_segment as segment, currency, count(*) as contacts, sum(monetary)::bigint as monetary
        from this_table group by all order by contacts desc, segment, currency""",
    "contact_rfm_history": """
        select snapshot_on::varchar as snapshot_on, count(*) as contacts
        from this_table group by all order by snapshot_on desc""",
    "contact_timeline": """
        select entry_type as entry, count(*) as entries from this_table group by entry order by entries desc, entry""",
    "contacts": """
        select if(is_anonymous, 'anonymous', 'known') as contact, count(*) as contacts,
            sum(event_count)::bigint as events
        from this_table group by contact order by contact""",
    "event_catalog": f"""
        select {_EVENT}, sum(events)::bigint as events, sum(rejected)::bigint as rejected
        from this_table group by event order by events desc, event""",
    "event_history": "select status, count(*) as reports from this_table group by status order by status",
    "event_profile": """
        select day::varchar as day, sum(accepted)::bigint as accepted, sum(rejected)::bigint as rejected,
            sum(duplicates)::bigint as duplicates, sum(late)::bigint as late
        from this_table group by day order by day desc""",
    "event_versions": "select status, count(*) as versions from this_table group by status order by status",
    "event_volume_daily": """
        select day::varchar as day, sum(accepted)::bigint as accepted, sum(rejected)::bigint as rejected,
            sum(duplicates)::bigint as duplicates, sum(late)::bigint as late
        from this_table group by day order by day desc""",
    "events": f"""
        select {_EVENT}, sum(events)::bigint as events
        from (select event_name, count(*) as events from this_table group by event_name)
        group by event order by events desc, event""",
    "identity_conflicts": """
        select rule, left_type, right_type, count(*) as refused
        from this_table group by all order by refused desc, rule, left_type, right_type""",
    "identity_nodes": """
        select identifier_type as type, count(*) as identifiers, count(distinct contact_id) as contacts
        from this_table group by type order by identifiers desc, type""",
    "ledger": """
        select source, status, count(*) as exports, sum(lines)::bigint as lines,
            sum(accepted)::bigint as accepted, sum(rejected)::bigint as rejected, sum(blank)::bigint as blank
        from this_table group by source, status order by source, status""",
    "segment_history": """
        select segment, count(*) as episodes, count(left_at) as ended
        from this_table group by segment order by episodes desc, segment""",
    "segment_members": """
        select segment, count(*) as members from this_table group by segment order by members desc, segment""",
    "order_conflicts": "select contacts, count(distinct order_id) as orders from this_table group by contacts order by contacts",
    "property_profile": """
        select property, sum(reports)::bigint as reports, sum(filled)::bigint as filled, sum(coerced)::bigint as coerced,
            sum(mistyped)::bigint as mistyped
        from this_table group by property order by reports desc, property""",
    "value_profile": """
        select currency, sum(events)::bigint as events, sum(negative)::bigint as negative
        from this_table group by currency order by events desc, currency""",
    # What follows a reason's code can be a property's name as it was sent.
    "rejected_events": """
        select split_part(reason, ':', 1) as reason, count(*) as lines
        from (select unnest(reasons) as reason from this_table) group by all order by lines desc, reason""",
}
"""What is counted of a table, which is `this_table` here."""


def preview(connection: duckdb.DuckDBPyConnection, table: str, relation: str) -> str | None:
    """The preview of a table that lies at `relation`, as a Markdown table; None where there is none for it."""
    query = PREVIEWS.get(table)
    if query is None:
        return None
    found = connection.execute(f"with this_table as (from {relation}) {query} limit {MOST_ROWS + 1}")
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
    return "" if cell is None else "".join(f"\\{each}" if each in r"\`*_[]<>|" else each for each in str(cell))
