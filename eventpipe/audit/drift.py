"""Drift: event names, properties and types that are not what the definitions say (spec 1, section 4; spec 5).

Names of properties that no definition declares are counted, not listed: `eventpipe events show` lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import duckdb

from eventpipe.audit.findings import MOST_ROWS, Finding, shown
from eventpipe.sql import literals

NAMES: Final = "event_names_are_defined_once"
UNDECLARED: Final = "properties_are_declared"
TYPES: Final = "properties_keep_their_type"
CHECKS: Final = {NAMES: "event_catalog", UNDECLARED: "event_catalog", TYPES: "property_profile"}

_LISTED: Final = 4 * MOST_ROWS


def drift(connection: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> Iterator[Finding]:
    """Three findings: on names of the whole catalogue, and on properties of what these runs changed."""
    yield _names(connection)
    yield _undeclared(connection)
    yield _types(connection, runs)


def _names(connection: duckdb.DuckDBPyConnection) -> Finding:
    found = _rows(
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
    return _finding(
        NAMES,
        failing,
        {"names": len(failing)},
        "Event names that differ only by case, blanks and separators are kept apart until a definition lists them. "
        + (f"Paste into the definition: {pasted}." if pasted else "Begin with `eventpipe events draft NAME`."),
    )


def _paste(row: Mapping[str, Any]) -> str:
    """The line that makes the spellings one event."""
    return f"{shown(row['event_name'])}: aliases: [{', '.join(shown(name) for name in row['like_it'])}]"


def _undeclared(connection: duckdb.DuckDBPyConnection) -> Finding:
    found = _rows(
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
    return _finding(
        UNDECLARED,
        [{**row, "event_name": shown(row["event_name"])} for row in found],
        {"events": len(found), "properties": sum(row["properties"] for row in found)},
        "Events carry properties that their definition does not declare: `eventpipe events show NAME` lists them, "
        "`eventpipe events draft NAME` writes a definition that does.",
    )


def _types(connection: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> Finding:
    found = _rows(
        connection,
        f"""
        select source, event_name, property, type as declared, sum(mistyped)::bigint as mistyped
        from main.property_profile where run_id in ({literals(runs)}) and mistyped > 0
        group by all order by mistyped desc, source, event_name, property
        """,
    )
    return _finding(
        TYPES,
        found,
        {"properties": len(found), "reports": sum(row["mistyped"] for row in found)},
        "Accepted events have properties of another type than declared: their definition observes, or was another one "
        "when they landed. `eventpipe events check FILE` says what a changed definition would accept.",
    )


def _finding(check: str, failing: Sequence[Mapping[str, Any]], observed: Mapping[str, Any], message: str) -> Finding:
    return Finding(
        check=check,
        kind="drift",
        asset=CHECKS[check],
        subject=CHECKS[check],
        severity="warn",
        status="failed" if failing else "passed",
        observed=observed,
        failing=tuple(failing[:_LISTED]),
        message=message if failing else None,
    )


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
