"""Drift: event names, properties and types that are not what the definitions say.

Names of properties that no definition declares are counted, not listed: `eventpipe events show` lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import duckdb

from eventpipe.audit.findings import Finding, rows, shown, told
from eventpipe.sql import literals

NAMES: Final = "event_names_are_defined_once"
UNDECLARED: Final = "properties_are_declared"
TYPES: Final = "properties_keep_their_type"
RENAMED: Final = "events_keep_their_name"
CHECKS: Final = {
    NAMES: "event_catalog",
    UNDECLARED: "event_catalog",
    TYPES: "property_profile",
    RENAMED: "event_history",
}


def drift(connection: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> Iterator[Finding]:
    """Four findings: on names of the whole catalogue and of all that was reported more than once, and on properties of what
    these runs changed."""
    yield _names(connection)
    yield _renamed(connection)
    yield _undeclared(connection)
    yield _types(connection, runs)


def _names(connection: duckdb.DuckDBPyConnection) -> Finding:
    found = rows(
        connection,
        "select event_name, drift as like_it, definition_version is not null as is_defined, accepted"
        " from main.event_catalog where len(drift) > 0 order by accepted desc, event_name",
    )
    failing = [
        {
            "event_name": shown(row["event_name"]),
            "like": ", ".join(shown(name) for name in row["like_it"]),
            "accepted": row["accepted"],
        }
        for row in found
        if not row["is_defined"]
    ]
    pasted = "; ".join(_paste(row) for row in found if row["is_defined"])
    return told(
        NAMES,
        CHECKS[NAMES],
        failing,
        {"names": len(failing)},
        "Event names that differ only by case, blanks and separators are kept apart until a definition lists them. "
        + (f"Paste into the definition: {pasted}." if pasted else "Begin with `eventpipe events draft NAME`."),
    )


def _renamed(connection: duckdb.DuckDBPyConnection) -> Finding:
    found = rows(
        connection,
        """
        with renamed as (
            select min(source) as source, list_sort(list(distinct event_name)) as names from main.event_history
            group by event_id having count(distinct event_name) > 1
        )
        select source, names, count(*) as events from renamed group by all order by events desc, source, names
        """,
    )
    return told(
        RENAMED,
        CHECKS[RENAMED],
        [{**row, "names": ", ".join(shown(name) for name in row["names"])} for row in found],
        {"events": sum(row["events"] for row in found)},
        "Reports with one dedupe_key have different event names, and only one of them counts: a refund with the key of its order "
        "is no event of its own. Map a dedupe_key that differs, as {sql: \"type || '-' || id\"} does.",
    )


def _paste(row: Mapping[str, Any]) -> str:
    """The line that makes the spellings one event."""
    return f"{shown(row['event_name'])}: aliases: [{', '.join(shown(name) for name in row['like_it'])}]"


def _undeclared(connection: duckdb.DuckDBPyConnection) -> Finding:
    found = rows(
        connection,
        """
        with seen as (
            select event_name, unnest(properties).name as property from main.event_catalog
            where definition_version is not null
        )
        select event_name, count(*) as properties from seen
        anti join run.declared_properties as declared
            on seen.event_name = declared.event_name and seen.property = declared.spelling
        where event_name in (select event_name from run.declared_properties)
        group by event_name order by properties desc, event_name
        """,
    )
    return told(
        UNDECLARED,
        CHECKS[UNDECLARED],
        [{**row, "event_name": shown(row["event_name"])} for row in found],
        {"events": len(found), "properties": sum(row["properties"] for row in found)},
        "Events carry properties that their definition does not declare: `eventpipe events show NAME` lists them, "
        "`eventpipe events draft NAME` writes a definition that does.",
    )


def _types(connection: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> Finding:
    found = rows(
        connection,
        f"""
        select source, event_name, property, type as declared, sum(mistyped)::bigint as mistyped
        from main.property_profile where run_id in ({literals(runs)}) and mistyped > 0
        group by all order by mistyped desc, source, event_name, property
        """,
    )
    return told(
        TYPES,
        CHECKS[TYPES],
        found,
        {"properties": len(found), "reports": sum(row["mistyped"] for row in found)},
        "Accepted events have properties of another type than declared: their definition observes, or was another one "
        "when they landed. `eventpipe events check FILE` says what a changed definition would accept.",
    )
