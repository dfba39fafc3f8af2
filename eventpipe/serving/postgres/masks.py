"""Masked views: the published tables as readers see them who may not see whom they are about.

They lie in a schema of their own, under the same names, and read as their owner does: who may read them needs no right on
the tables. A column that is named like a masked type and the values of such identifiers are hidden. The keys of that name in
JSON are left out, at any depth, however they are written and whatever they are said to be of (`contact.email`). Where
personal data may be anywhere (the raw text of rejected lines, what a source dedupes by), all of it is hidden. What a source
sends under other names is shown.
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
_ANYTHING = ("raw", "dedupe_key")
_WITHOUT = "without"


def definitions(server: Server, relations: Sequence[Relation]) -> dict[str, str]:
    """The query of each masked view, by its name; none where nothing is masked."""
    if not server.mask:
        return {}
    return {
        each.name: f"select {', '.join(_columns(each, server))} from {named(server.schema, each.name)}"
        for each in relations
    }


def function(server: Server) -> str:
    """The statement that makes the function which leaves keys out of a document.

    Whoever calls it says where names are looked up, and must not be able to put a function of their own in the place of
    one that it calls.
    """
    name = named(server.masked_schema, _WITHOUT)
    return f"""
        create or replace function {name} (document jsonb, keys text[]) returns jsonb
        language sql immutable strict parallel safe set search_path = '' as $$
            select case jsonb_typeof(document)
                when 'object' then (
                    select coalesce(jsonb_object_agg(key, {name}(value, keys)), '{{}}')
                    from jsonb_each(document) where lower(substring(key from '[^.]*$')) <> all(keys)
                )
                when 'array' then (
                    select coalesce(jsonb_agg({name}(value, keys) order by place), '[]')
                    from jsonb_array_elements(document) with ordinality as elements (value, place)
                )
                else document
            end
        $$
        """


def _columns(relation: Relation, server: Server) -> Iterator[str]:
    for column in relation.columns:
        name = identifier(column.name)
        shown = _shown(relation.name, column, server)
        yield name if shown == name else f"{shown} as {name}"


def _shown(table: str, column: ServedColumn, server: Server) -> str:
    name, mask = identifier(column.name), server.mask
    hidden = f"case when {name} is not null then {literal(HIDDEN)} end"
    if column.name in mask or column.name in _ANYTHING:
        return hidden
    if column.name in _VALUES_BY_TYPE:
        kind = identifier(_VALUES_BY_TYPE[column.name])
        return f"case when {kind} in ({literals(mask)}) then {literal(HIDDEN)} else {name} end"
    if column.name == "identifiers":  # a list of pairs of type and value
        kept = f"pair ->> 0 in ({literals(mask)})"
        pairs = f"case when {kept} then jsonb_build_array(pair -> 0, {literal(HIDDEN)}) else pair end"
        return f"(select jsonb_agg({pairs}) from jsonb_array_elements({name}) as pairs (pair))"
    if isinstance(column.type, JSONB) and table not in ("event_catalog", "runs", "checks"):
        # Few documents hold such a key, and looking for one costs less than the function.
        key = literal('"([^"]*[.])?(' + "|".join(mask) + ')"')
        has_one = f"{name}::text ~* {key}"
        without = f"{named(server.masked_schema, _WITHOUT)}({name}, array[{literals(mask)}])"
        return f"case when {has_one} then {without} else {name} end"
    return name
