"""What shows only when an export has been judged whole: more names than the limits allow, and keys that
a record gives twice.

Both are rare, and dear to look for line by line. They are looked for in the finished rows by the few distinct values
there; an export that has them is judged once more, with what was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import duckdb

from eventpipe.intake.records import BATCH
from eventpipe.project.definitions import Registry
from eventpipe.project.settings import LimitSettings
from eventpipe.sql import literal, literals

_EXCEEDED = "exceeded_names"
_UNDEFINED = "status = 'accepted' and definition_version is null and kind not in ('identify', 'alias')"
_HAS_PROPERTIES = "not starts_with(property_types, chr(30))"
_SEPARATOR = "\x1f"
_TYPES = "\x1e"


@dataclass(frozen=True)
class SecondLook:
    """What to judge anew by: `exceeding` says that the connection has a table of the events (line, index) that brought
    more names than allowed; with `repeated_keys` some properties give a key twice; with `batches` some lines hold many
    events."""

    exceeding: bool = False
    repeated_keys: bool = False
    batches: bool = False

    def too_many(self, line: str, index: str) -> str:
        """With `exceeding`: true for an event with a name that came when the limit was reached; those before it stay."""
        return f"exists (from {_EXCEEDED} as e where e.line = {line} and e.index is not distinct from {index})"

    def properties(self, document: str) -> str:
        """The JSON object `document`, of repeated keys the first; what is no object as it is."""
        if not self.repeated_keys:
            return document
        entries = f"map_entries(from_json({document}, '\"MAP(VARCHAR, JSON)\"'))"
        # Sorted by key and place the first of each key stands behind another one: the work grows with the keys, not their square.
        placed = (
            f"list_sort(list_transform({entries}, lambda e, place: {{'key': e.key, 'place': place, 'value': e.value}}))"
        )
        first = (
            f"list_transform([{placed}], lambda es: list_filter(es, lambda e, n: n = 1 or es[n - 1].key <> e.key))[1]"
        )
        in_order = f"list_sort(list_transform({first}, lambda e: {{'place': e.place, 'key': e.key, 'value': e.value}}))"
        members = f"list_transform({in_order}, lambda e: to_json(e.key) || ':' || coalesce(e.value, 'null'))"
        only_first = f"'{{' || array_to_string({members}, ',') || '}}'"
        return f"case when json_type({document}) = 'OBJECT' then {only_first} else cast({document} as varchar) end"


FIRST_LOOK = SecondLook()
BATCHES = SecondLook(batches=True)


@dataclass(frozen=True)
class Tally:
    """The finished rows of an export. `lines` counts the lines that gave a row, `event_names` the distinct names that no
    definition lists; a signature is a value of `property_types`; `batches` says that lines were taken for one event which
    hold many."""

    accepted: int
    rejected: int
    lines: int
    event_names: int
    signatures: tuple[str, ...]
    batches: bool


def tally(connection: duckdb.DuckDBPyConnection, table: str) -> Tally:
    """Count the rows of the relation `table`, which are of one export."""
    [seen] = tallies(connection, f"(select *, 1 as export from {table})", 1)
    return seen


def tallies(connection: duckdb.DuckDBPyConnection, table: str, exports: int) -> list[Tally]:
    """Count the rows of the relation `table` for each of so many exports."""
    found = connection.execute(
        f"""
        select
            export,
            count(*) filter (status = 'accepted'),
            count(*) filter (status = 'rejected'),
            count(*) filter (index is null) + count(distinct line) filter (index is not null),
            count(distinct event_name) filter ({_UNDEFINED}),
            coalesce(list(distinct property_types) filter ({_HAS_PROPERTIES}), []),
            coalesce(bool_or(list_contains(reasons, {literal(BATCH)})), false)
        from {table}
        group by export
        """
    ).fetchall()
    seen = {
        export: Tally(accepted, rejected, lines, event_names, tuple(signatures), batches)
        for export, accepted, rejected, lines, event_names, signatures, batches in found
    }
    return [seen.get(number, Tally(0, 0, 0, 0, (), False)) for number in range(1, exports + 1)]


def look_again(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    seen: Tally,
    look: SecondLook,
    limits: LimitSettings,
    registry: Registry,
) -> SecondLook:
    """What the finished rows, the relation `table`, need to be judged by; for nearly every export still `look`."""
    if seen.batches:
        return replace(look, batches=True)
    repeated = False
    properties: set[str] = set()
    for signature in seen.signatures:
        names = signature.split(_TYPES)[0].split(_SEPARATOR)
        repeated |= len(set(names)) < len(names)
        properties.update(names)
    exceeding = look.exceeding
    if not exceeding and (seen.event_names > limits.event_names or len(properties) > limits.property_names):
        exceeding = _list_exceeding(connection, table, limits, registry)
    return replace(look, exceeding=exceeding, repeated_keys=look.repeated_keys or repeated)


def _list_exceeding(
    connection: duckdb.DuckDBPyConnection, table: str, limits: LimitSettings, registry: Registry
) -> bool:
    """Fill the table of events to reject. Names that a definition lists are always allowed."""
    names = "string_split(string_split(property_types, chr(30))[1], chr(31))"
    defined = literals(_defined_properties(registry))
    connection.execute(
        f"""
        create or replace temp table {_EXCEEDED} as
        with event_names as (
            select event_name as name from {table} where {_UNDEFINED} group by event_name
            order by min((line, coalesce(index, 0))), event_name offset {literal(limits.event_names)}
        ),
        properties as (
            select line, index, unnest({names}) as name from {table} where {_HAS_PROPERTIES}
        ),
        property_names as (
            select name from properties where not list_contains([{defined}]::varchar[], name) group by name
            order by min((line, coalesce(index, 0))), name offset {literal(limits.property_names)}
        )
        select line, index from {table} where {_UNDEFINED} and event_name in (from event_names)
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
