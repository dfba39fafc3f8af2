"""Masked views: the published tables as readers see them who may not see whom they are about (spec 5, security).

They lie in a schema of their own, under the same names, and read as their owner does: who may read them needs no right on
the tables. A column that is named like a masked type, the values of
such identifiers, and the keys of that name in JSON are hidden; where personal data may be anywhere (the raw text of
rejected lines), all of it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.dialects.postgresql import JSONB

from eventpipe.serving.postgres.columns import ServedColumn
from eventpipe.serving.postgres.relations import Relation
from eventpipe.serving.postgres.server import Server, named
from eventpipe.sql import identifier, literal, literals

HIDDEN = "***"
"""What stands where a value is hidden; what is null stays null."""

_VALUES_BY_TYPE: Mapping[str, str] = {
    "identifier_value": "identifier_type",
    "left_value": "left_type",
    "right_value": "right_type",
}
_ANYTHING = frozenset({("rejected_events", "raw"), ("events", "dedupe_key"), ("event_history", "dedupe_key")})


def definitions(server: Server, relations: Sequence[Relation]) -> dict[str, str]:
    """The query of each masked view, by its name; none where nothing is masked."""
    if not server.mask:
        return {}
    return {
        each.name: f"select {', '.join(_columns(each, server.mask))} from {named(server.schema, each.name)}"
        for each in relations
    }


def _columns(relation: Relation, mask: Sequence[str]) -> Iterator[str]:
    for column in relation.columns:
        name = identifier(column.name)
        shown = _shown(relation.name, column, mask)
        yield name if shown == name else f"{shown} as {name}"


def _shown(table: str, column: ServedColumn, mask: Sequence[str]) -> str:
    name = identifier(column.name)
    hidden = f"case when {name} is not null then {literal(HIDDEN)} end"
    if column.name in mask or (table, column.name) in _ANYTHING:
        return hidden
    if column.name in _VALUES_BY_TYPE:
        kind = identifier(_VALUES_BY_TYPE[column.name])
        return f"case when {kind} in ({literals(mask)}) then {literal(HIDDEN)} else {name} end"
    if column.name == "identifiers":  # a list of pairs of type and value
        kept = f"pair ->> 0 in ({literals(mask)})"
        pairs = f"case when {kept} then jsonb_build_array(pair -> 0, {literal(HIDDEN)}) else pair end"
        return f"(select jsonb_agg({pairs}) from jsonb_array_elements({name}) as pairs (pair))"
    if isinstance(column.type, JSONB) and table not in ("event_catalog", "runs", "checks"):
        keys = f"array[{literals(mask)}]::text[]"
        return f"case when jsonb_typeof({name}) = 'object' then {name} - {keys} else {name} end"
    return name
