"""The views of a server: those that the models make, and the masked ones over all relations.

People build views of their own on them. So a view that changes is replaced where it is, with its new columns at the end,
and goes only where it loses a column or a column's type changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateSchema

from eventpipe.serving.postgres import masks, migration
from eventpipe.serving.postgres.faults import database_errors
from eventpipe.serving.postgres.relations import Relation, view_sql
from eventpipe.serving.postgres.server import Server, named, run, state_of
from eventpipe.sql import identifier, literal

_OTHER_COLUMNS = "42P16"

# Views that read one of the tables, be it through other views.
_THAT_READ = text("""
    with recursive reads as (
        select d.refobjid as relation, w.ev_class as reader from pg_depend d join pg_rewrite w on w.oid = d.objid
        where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
    ), readers as (
        select reader from reads join pg_class c on c.oid = relation join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = :schema and c.relname = any(:tables)
        union
        select reads.reader from readers join reads on relation = readers.reader
    )
    select n.nspname, c.relname from readers
    join pg_class c on c.oid = reader join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm') order by 1, 2
    """)


@dataclass(frozen=True)
class View:
    """A view that there is to be. `masked`: its query where it is a masked one over the relation."""

    schema: str
    relation: Relation
    masked: str | None = None

    @property
    def key(self) -> str:
        """The name under which its digest is kept."""
        return self.relation.name if self.masked is None else f"{self.schema}.{self.relation.name}"

    @property
    def digest(self) -> str:
        """Changes when it is to be made anew."""
        told = self.relation.digest()
        return told if self.masked is None else sha256(f"{told}\0{self.masked}".encode()).hexdigest()

    def query(self) -> str:
        """Its query in PostgreSQL's SQL."""
        return view_sql(self.relation, self.schema) if self.masked is None else self.masked


def views(server: Server, relations: Sequence[Relation]) -> list[View]:
    """The views that there are to be; the masked ones, which read the others, last."""
    masked = masks.definitions(server, relations)
    return [
        *(View(server.schema, each) for each in relations if each.sql is not None),
        *(View(server.masked_schema, each, masked[each.name]) for each in relations if each.name in masked),
    ]


def digests(shown: Sequence[View]) -> dict[str, str]:
    """What tells whether any of them has changed."""
    return {view.key: view.digest for view in shown}


def drop(connection: Connection, server: Server, keys: Collection[str]) -> None:
    """Drops views by the names under which their digests were kept, all at once: some read others."""
    if keys:
        run(connection, f"drop view if exists {', '.join(named(*_place(server, key)) for key in sorted(keys))}")


def make(connection: Connection, server: Server, shown: Sequence[View], known: Mapping[str, str]) -> bool:
    """Makes those that are not there and those whose digest is not the `known` one. Whether there were any. Errors:
    `SchemaRefused` where a view of somebody else's is in the way.
    """
    there: dict[str, migration.Found] = {
        at: migration.found_in(connection, at, kinds=("v",)) for at in (server.schema, server.masked_schema)
    }
    foreign = [each.key for each in shown if each.relation.name in there[each.schema] and each.key not in known]
    if foreign:
        raise migration.taken(server.schema, "views", foreign)
    changed = [
        view for view in shown if known.get(view.key) != view.digest or view.relation.name not in there[view.schema]
    ]
    if any(view.masked for view in changed):
        connection.execute(CreateSchema(server.masked_schema, if_not_exists=True))
        run(connection, masks.function(server))
    for view in changed:
        _make(connection, server, view, there)
    return bool(changed)


def refused(
    connection: Connection, server: Server, losses: Sequence[migration.Step], known: Collection[str]
) -> migration.SchemaRefused:
    """What would lose something, with the plan, which takes those of the `known` views away first that are in its way."""
    of_them = {"schema": server.schema, "tables": [step.table for step in losses]}
    found = [(row.nspname, row.relname) for row in connection.execute(_THAT_READ, of_them)]
    ours = {_place(server, key) for key in known}
    return migration.refused(
        server.place,
        losses,
        [named(*view) for view in found if view in ours],
        [named(*view) for view in found if view not in ours],
    )


def _place(server: Server, key: str) -> tuple[str, str]:
    schema, _, name = key.rpartition(".")
    return schema or server.schema, name


def _make(connection: Connection, server: Server, view: View, there: dict[str, migration.Found]) -> None:
    """`there`: the views of each schema, in their columns' order, which a replaced one keeps."""
    relation = view.relation
    name, query = named(view.schema, relation.name), view.query()
    before = [column for column in there[view.schema].get(relation.name, ()) if column in relation.names]
    order = [*before, *(column for column in relation.names if column not in before)]
    if order != list(relation.names):
        query = f"select {', '.join(map(identifier, order))} from ({query}) as shown"
    try:
        with connection.begin_nested():
            run(connection, f"create or replace view {name} as {query}")
    except database_errors() as error:
        if state_of(error) != _OTHER_COLUMNS:
            raise
        over = named(server.masked_schema, relation.name)
        run(connection, f"drop view if exists {', '.join(dict.fromkeys((over, name)))}")
        there[server.masked_schema] = {
            each: columns for each, columns in there[server.masked_schema].items() if each != relation.name
        }
        run(connection, f"create view {name} as {query}")
    if relation.comment:
        run(connection, f"comment on view {name} is {literal(relation.comment)}")
    for column, told in relation.comments.items():
        run(connection, f"comment on column {name}.{identifier(column)} is {literal(told)}")
