"""What shows only when an export has been judged whole: more names than the limits allow (spec 5, faults), and keys that
a record gives twice.

Both are rare, and dear to look for line by line. They are looked for in the finished rows by the few distinct values
there; an export that has them is judged once more, with what was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from eventpipe.project.definitions import Registry
from eventpipe.project.settings import LimitSettings
from eventpipe.sql import literal, literals

_EXCEEDED = "exceeded_names"


@dataclass(frozen=True)
class SecondLook:
    """What to judge anew by: `exceeding` says that the connection has a table of the events (line, index) that brought
    more names than allowed; with `repeated_keys` some properties give a key twice."""

    exceeding: bool = False
    repeated_keys: bool = False

    def too_many(self, line: str, index: str) -> str:
        """With `exceeding`: true for an event with a name that came when the limit was reached; those before it stay."""
        return f"exists (from {_EXCEEDED} as e where e.line = {line} and e.index is not distinct from {index})"

    def properties(self, document: str) -> str:
        """The JSON object `document`, of repeated keys the first."""
        if not self.repeated_keys:
            return document
        entries = f"map_entries(from_json({document}, '\"MAP(VARCHAR, JSON)\"'))"
        keys = f"list_transform({entries}, lambda e: e.key)"
        first = f"list_filter({entries}, lambda e, place: list_position({keys}, e.key) = place)"
        members = f"list_transform({first}, lambda e: to_json(e.key) || ':' || coalesce(e.value, 'null'))"
        return f"case when {document} is not null then '{{' || array_to_string({members}, ',') || '}}' end"


def look_again(
    connection: duckdb.DuckDBPyConnection, table: str, limits: LimitSettings, registry: Registry
) -> SecondLook | None:
    """What the finished rows, the relation `table`, need another judging for; None for nearly every export."""
    # `property_types` holds each property's name and one character, separated by 0x1F.
    names = "list_transform(string_split(property_types, chr(31)), lambda name: name[:-2])"
    found = connection.execute(
        f"""
        with signatures as (
            select {names} as names
            from (select distinct property_types from {table} where property_types <> '')
        )
        select
            (select count(distinct event_name) from {table} where {_undefined()}),
            (select count(distinct name) from (select unnest(names) as name from signatures)),
            (select coalesce(bool_or(list_unique(names) < len(names)), false) from signatures)
        """
    ).fetchone()
    assert found is not None
    events, properties, repeated = found
    exceeding = False
    if events > limits.event_names or properties > limits.property_names:
        exceeding = _list_exceeding(connection, table, names, limits, registry)
    return SecondLook(exceeding, bool(repeated)) if exceeding or repeated else None


def _undefined() -> str:
    return "status = 'accepted' and definition_version is null and kind not in ('identify', 'alias')"


def _list_exceeding(
    connection: duckdb.DuckDBPyConnection, table: str, names: str, limits: LimitSettings, registry: Registry
) -> bool:
    """Fill the table of events to reject. Names that a definition lists are always allowed."""
    defined = literals(_defined_properties(registry))
    connection.execute(
        f"""
        create or replace temp table {_EXCEEDED} as
        with event_names as (
            select event_name as name from {table} where {_undefined()} group by event_name
            order by min((line, coalesce(index, 0))), event_name offset {literal(limits.event_names)}
        ),
        properties as (
            select line, index, unnest({names}) as name from {table} where property_types <> ''
        ),
        property_names as (
            select name from properties where not list_contains([{defined}]::varchar[], name) group by name
            order by min((line, coalesce(index, 0))), name offset {literal(limits.property_names)}
        )
        select line, index from {table} where {_undefined()} and event_name in (from event_names)
        union
        select line, index from properties where name in (from property_names)
        """
    )
    found = connection.execute(f"select count(*) from {_EXCEEDED}").fetchone()
    return found is not None and bool(found[0])


def _defined_properties(registry: Registry) -> Iterable[str]:
    return sorted(
        {
            name
            for definition in registry.definitions
            for declared in definition.properties
            for name in (declared.name, *declared.aliases)
        }
    )
