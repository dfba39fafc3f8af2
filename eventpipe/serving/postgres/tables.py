"""The tables of a server: made, filled, changed row by row."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from eventpipe.serving.postgres.difference import Change, Comparison
from eventpipe.serving.postgres.relations import Relation
from eventpipe.serving.postgres.server import Server, named, run
from eventpipe.serving.postgres.transfer import copy_rows
from eventpipe.sql import identifier

_REMOVED = "removed"

# Memory to build an index in. Of JSON it is built by a tree in memory, whose every step misses the processor's cache when
# it grows (128 MB: a fifth slower); 64 MB is the least that lets a second process help, which takes 32 MB each.
_SORTED, _INVERTED = "256MB", "64MB"


def make(connection: Connection, server: Server, table: Relation) -> None:
    """Makes a table without keys and indexes, which cost less once its rows are there."""
    connection.execute(CreateTable(table.table(server.schema)))


def indexes_in(connection: Connection, server: Server) -> set[str]:
    """The names of the indexes that there are."""
    found = text("select indexname from pg_indexes where schemaname = :schema")
    return set(connection.execute(found, {"schema": server.schema}).scalars())


def finish(connection: Connection, server: Server, table: Relation, existing: Collection[str]) -> None:
    """Gives a table the key and the indexes that it does not have yet."""
    key = f"pk_{table.name}"
    if table.has_primary_key() and key not in existing:
        columns = ", ".join(identifier(name) for name in table.layout.key)
        name = named(server.schema, table.name)
        run(connection, f"set local maintenance_work_mem = '{_SORTED}'")
        run(connection, f"alter table {name} add constraint {identifier(key)} primary key ({columns})")
    for index in sorted(table.table(server.schema).indexes, key=lambda each: str(each.name)):
        if index.name not in existing:
            is_inverted = index.dialect_options["postgresql"]["using"] == "gin"
            run(connection, f"set local maintenance_work_mem = '{_INVERTED if is_inverted else _SORTED}'")
            connection.execute(CreateIndex(index))


def describe(connection: Connection, server: Server, table: Relation) -> None:
    """Statistics for the planner, comments for people."""
    run(connection, f"analyze {named(server.schema, table.name)}")
    made = table.table(server.schema)
    if made.comment:
        connection.execute(SetTableComment(made))
    for column in made.columns:
        if column.comment:
            connection.execute(SetColumnComment(column))


def move(
    connection: Connection,
    server: Server,
    comparison: Comparison,
    table: Relation,
    change: Change,
    *,
    frozen: bool = False,
) -> int:
    """Takes away the rows that go and brings those that come; how many went. `frozen`: see `copy_rows`."""
    target = named(server.schema, table.name)
    removed = 0
    if change.removed is None:
        removed = run(connection, f"delete from {target}")
    elif change.removed:
        removed = _remove(connection, comparison, table, target)
    if change.brought:
        names = tuple(column.name for column in table.columns)
        copy_rows(comparison.connection, comparison.brought_rows(table), connection, target, names, frozen=frozen)
    return removed


def _remove(connection: Connection, comparison: Comparison, table: Relation, target: str) -> int:
    key = table.layout.key
    names = ", ".join(identifier(name) for name in key)
    run(connection, f"create temp table {_REMOVED} on commit drop as select {names} from {target} where false")
    copy_rows(comparison.connection, comparison.removed_keys(table), connection, _REMOVED, key)
    run(connection, f"analyze {_REMOVED}")
    same = " and ".join(_same(table, name) for name in key)
    removed = run(connection, f"delete from {target} as there using {_REMOVED} where {same}")
    run(connection, f"drop table {_REMOVED}")
    return removed


def _same(table: Relation, name: str) -> str:
    there, given = f"there.{identifier(name)}", f"{_REMOVED}.{identifier(name)}"
    if name in table.layout.nullable:
        return f"{there} is not distinct from {given}"
    if name in table.layout.long:  # the index holds its hash
        return f"md5({there}) = md5({given}) and {there} = {given}"
    return f"{there} = {given}"
