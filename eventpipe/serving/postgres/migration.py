"""The tables of a server brought to those of an edition: what that takes, and whether anything would be lost.

New tables, columns and indexes, and types that hold every value of the old one, are made. What would lose something
(a column or table that is published no more, a narrower type) is refused with the statements that would do it: whether
somebody still needs it, only the owner of the database knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from eventpipe.errors import StageFailed
from eventpipe.serving.postgres.relations import Relation
from eventpipe.serving.postgres.server import named
from eventpipe.sql import identifier

_WIDER = {
    ("smallint", "integer"),
    ("smallint", "bigint"),
    ("integer", "bigint"),
    ("smallint", "double precision"),
    ("integer", "double precision"),
}
_WHOLE_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


class SchemaRefused(StageFailed):
    """The tables there cannot become those of this edition without losing something."""


@dataclass(frozen=True)
class Step:
    """One statement on a table. `loss` says what it would lose; None when nothing. `retypes`: no view may read the table
    meanwhile.
    """

    table: str
    sql: str
    loss: str | None = None
    retypes: bool = False


@dataclass(frozen=True)
class Plan:
    """`new`: tables to be made. `altered`: those whose columns change, so that all of their rows are sent again."""

    new: tuple[Relation, ...]
    altered: frozenset[str]
    steps: tuple[Step, ...]

    @property
    def losses(self) -> tuple[Step, ...]:
        """Steps that would lose something."""
        return tuple(step for step in self.steps if step.loss is not None)

    @property
    def retypes(self) -> bool:
        """Whether a column's type changes."""
        return any(step.retypes for step in self.steps)


def refused(place: str, losses: Sequence[Step], ours: Sequence[str], others: Sequence[str]) -> SchemaRefused:
    """With the plan. `ours`: views that the next publish makes again; `others`: views of somebody else's on those tables."""
    first = [f"drop view {', '.join(ours)}"] if ours else []
    return SchemaRefused(
        f"The tables at {place} cannot become those of this run without losing something: "
        f"{'; '.join(str(step.loss) for step in losses)}. Nothing was changed. "
        + (f"Views of others read there and are in the way: {', '.join(others)}. " if others else "")
        + "If nobody needs it, carry out the plan yourself and run again: "
        + " ".join(f"{sql};" for sql in (*first, *(step.sql for step in losses)))
    )


def taken(schema: str, what: str, names: Sequence[str]) -> SchemaRefused:
    """Of what somebody else made there."""
    return SchemaRefused(
        f"The schema {schema} holds {what} that eventpipe did not make and needs the names of: {', '.join(names)}. "
        "Rename them, or name another schema (serving.schema in eventpipe.yml)."
    )


Found = Mapping[str, Mapping[str, str]]
"""Tables of a schema with their columns, and the types of those as PostgreSQL spells them."""


def found_in(connection: Connection, schema: str, *, kinds: Sequence[str] = ("r", "p")) -> dict[str, dict[str, str]]:
    """The tables in `schema`, or relations of other `kinds` in the words of the server's catalogue."""
    rows = connection.execute(
        text("""
            select c.relname as table_name, a.attname as column_name, format_type(a.atttypid, a.atttypmod) as type
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            where n.nspname = :schema and c.relkind = any(:kinds)
            order by c.relname, a.attnum
            """),
        {"schema": schema, "kinds": list(kinds)},
    )
    tables: dict[str, dict[str, str]] = {}
    for row in rows:
        columns = tables.setdefault(row.table_name, {})
        if row.column_name is not None:
            columns[row.column_name] = row.type
    return tables


def plan(wanted: Sequence[Relation], found: Found, published: Iterable[str], schema: str) -> Plan:
    """What turns `found`, of which `published` are eventpipe's, into `wanted`. Errors: `SchemaRefused` where a table of
    somebody else's is in the way.
    """
    ours = set(published)
    names = {relation.name for relation in wanted}
    foreign = sorted(names & found.keys() - ours)
    if foreign:
        raise taken(schema, "tables", foreign)
    steps = [
        Step(name, f"drop table {named(schema, name)}", f"the table {name} is not published any more")
        for name in sorted(ours - names)
        if name in found
    ]
    altered: set[str] = set()
    for relation in wanted:
        if relation.name in found:
            changes = list(_changes(relation, found[relation.name], schema))
            steps += changes
            altered |= {relation.name} if changes else set()
    return Plan(tuple(each for each in wanted if each.name not in found), frozenset(altered), tuple(steps))


def _changes(relation: Relation, found: Mapping[str, str], schema: str) -> Iterator[Step]:
    name, table = relation.name, f"alter table {named(schema, relation.name)}"
    wanted = relation.types()
    collations = {each.name: f' collate "{each.collation}"' for each in relation.columns if each.collation}
    for column in found.keys() - wanted.keys():
        yield Step(name, f"{table} drop column {identifier(column)}", f"{name}.{column} is not published any more")
    for column, kind in wanted.items():
        quoted = identifier(column)
        if column not in found:
            yield Step(name, f"{table} add column {quoted} {kind}{collations.get(column, '')}")
        elif found[column] != kind:
            if holds_every(kind, found[column]):
                yield Step(name, f"{table} alter column {quoted} type {kind} using {quoted}::{kind}", retypes=True)
            else:
                told = f"{name}.{column} is {kind} now and was {found[column]}"
                yield Step(name, f"{table} drop column {quoted}", told)


def holds_every(wide: str, narrow: str) -> bool:
    """Whether the type `wide` has every value of the type `narrow`."""
    if wide == "text" and not narrow.endswith("[]"):
        return True
    if (narrow, wide) in _WIDER:
        return True
    to = _NUMERIC.fullmatch(wide)
    if to is None:
        return False
    whole = int(to[1]) - int(to[2])
    if of := _NUMERIC.fullmatch(narrow):
        return int(to[2]) >= int(of[2]) and whole >= int(of[1]) - int(of[2])
    return narrow in _WHOLE_DIGITS and whole >= _WHOLE_DIGITS[narrow]
