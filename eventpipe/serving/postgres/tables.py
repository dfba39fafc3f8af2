"""The tables of a server: made, filled, changed row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable

from eventpipe.serving.postgres.difference import Change, Comparison, Rows
from eventpipe.serving.postgres.relations import Relation
from eventpipe.serving.postgres.server import Server, named, run
from eventpipe.serving.postgres.transfer import copy_rows
from eventpipe.sql import identifier, literal

_GIVEN = "given"

# Memory to build an index in. Of JSON it is built by a tree in memory, whose every step misses the processor's cache when
# it grows (128 MB: a fifth slower); 64 MB is the least that lets a second process help, which takes 32 MB each.
_SORTED, _INVERTED = "256MB", "64MB"

_KEYS = text("""
    select i.relname, array(select pg_get_indexdef(x.indexrelid, part, true) from generate_series(1, x.indnkeyatts) part)
        as parts
    from pg_index x join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
    where n.nspname = :schema and x.indisunique
    """)

_COMMENTS = text("""
    select c.relname as relation, a.attname as name, d.description as told
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_description d on d.objoid = c.oid and d.classoid = 'pg_class'::regclass
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
    where n.nspname = :schema
    """)


def make(connection: Connection, server: Server, table: Relation) -> None:
    """Makes a table without keys and indexes, which cost less once its rows are there."""
    connection.execute(CreateTable(table.table(server.schema)))


def indexes_in(connection: Connection, server: Server) -> set[str]:
    """The names of the indexes that there are."""
    found = text("select indexname from pg_indexes where schemaname = :schema")
    return set(connection.execute(found, {"schema": server.schema}).scalars())


def drop_outdated_keys(connection: Connection, server: Server, tables: Sequence[Relation]) -> None:
    """Drops keys of other columns than these tables have them now, under which the next rows might not be unique."""
    known = {f"{kind}_{table.name}": table for table in tables for kind in ("pk", "uq")}
    for row in connection.execute(_KEYS, {"schema": server.schema}).all():
        name: str = row.relname
        table = known.get(name)
        if table is None:
            continue
        layout, is_primary = table.layout, name.startswith("pk_")
        wanted = [f"md5({each})" if each in layout.long else each for each in layout.key]
        if is_primary != table.has_primary_key() or [part.replace('"', "") for part in row.parts] != wanted:
            drop = f"alter table {named(server.schema, table.name)} drop constraint {identifier(name)}"
            run(connection, drop if is_primary else f"drop index {named(server.schema, name)}")


def finish(connection: Connection, server: Server, table: Relation, existing: Collection[str]) -> None:
    """Gives a table the key and the indexes that it does not have yet."""
    if f"pk_{table.name}" not in existing:
        add_key(connection, server, table)
    for index in indexes(server, table):
        if index.name not in existing:
            build(connection, index)


def add_key(connection: Connection, server: Server, table: Relation) -> None:
    """Gives a table its primary key, if it is to have one."""
    if table.has_primary_key():
        columns = ", ".join(identifier(name) for name in table.layout.key)
        name, key = named(server.schema, table.name), identifier(f"pk_{table.name}")
        run(connection, f"set local maintenance_work_mem = '{_SORTED}'")
        run(connection, f"alter table {name} add constraint {key} primary key ({columns})")


def indexes(server: Server, table: Relation) -> list[Index]:
    """The indexes that a table is to have beside its primary key, those that take longest first."""
    return sorted(table.table(server.schema).indexes, key=lambda each: (not _is_inverted(each), str(each.name)))


def build(connection: Connection, index: Index) -> None:
    """Builds an index."""
    run(connection, f"set local maintenance_work_mem = '{_INVERTED if _is_inverted(index) else _SORTED}'")
    connection.execute(CreateIndex(index))


def analyze(connection: Connection, server: Server, table: Relation) -> None:
    """Statistics for the planner, which has no use for those of JSON."""
    told = ", ".join(identifier(each.name) for each in table.columns if not isinstance(each.type, JSONB))
    run(connection, f"analyze {named(server.schema, table.name)} ({told})")


def describe(connection: Connection, server: Server, tables: Sequence[Relation]) -> None:
    """Comments for people: those that are not there yet, or say something else."""
    found = connection.execute(_COMMENTS, {"schema": server.schema})
    there: dict[tuple[str, str | None], str | None] = {(row.relation, row.name): row.told for row in found}
    for table in tables:
        name = named(server.schema, table.name)
        if there.get((table.name, None)) != table.comment:
            run(connection, f"comment on table {name} is {_told(table.comment)}")
        for column in table.names:
            told = table.comments.get(column)
            if there.get((table.name, column)) != told:
                run(connection, f"comment on column {name}.{identifier(column)} is {_told(told)}")


def _told(comment: str | None) -> str:
    return "null" if comment is None else literal(comment)


def move(
    connection: Connection,
    server: Server,
    comparison: Comparison,
    table: Relation,
    change: Change,
    *,
    frozen: bool = False,
) -> tuple[int, int]:
    """Takes away the rows that go, changes those that stay under their key and brings the new ones; how many were taken
    away and brought, a changed one counts as both. `frozen`: see `copy_rows`.
    """
    target = named(server.schema, table.name)
    if change.removed is None:
        removed, changed = run(connection, f"delete from {target}"), 0
    else:
        removed = _remove(connection, comparison, table, target, change.removed)
        changed = _change(connection, comparison, table, target, change.changed)
        if (removed, changed) != (change.removed.count, change.changed.count):  # somebody else was there
            return move(connection, server, comparison, table, comparison.whole(table))
    if change.brought.count:
        if change.removed is not None:
            _fetch(connection, comparison, table, target, change.brought)
        copy_rows(comparison.connection, change.brought.query, connection, target, table.names, frozen=frozen)
        _tidy(connection, server, table)
    return removed + changed, changed + change.brought.count


def _remove(connection: Connection, comparison: Comparison, table: Relation, target: str, keys: Rows) -> int:
    if not keys.count:
        return 0
    with _given(connection, comparison, table, keys, target, table.layout.key):
        return run(connection, f"delete from {target} as there using {_GIVEN} where {_same(table)}")


def _change(connection: Connection, comparison: Comparison, table: Relation, target: str, rows: Rows) -> int:
    """A row that keeps its indexed columns and finds room beside its old version costs the indexes nothing; taken away
    and brought again, it would cost each of them an entry, and the key a look at the old one.
    """
    if not rows.count:
        return 0
    names = [identifier(name) for name in table.names if name not in table.layout.key]
    values = ", ".join(f"{name} = {_GIVEN}.{name}" for name in names)
    with _given(connection, comparison, table, rows, target, table.names):
        return run(connection, f"update {target} as there set {values} from {_GIVEN} where {_same(table)}")


@contextmanager
def _given(
    connection: Connection, comparison: Comparison, table: Relation, rows: Rows, target: str, names: tuple[str, ...]
) -> Iterator[None]:
    """The rows in a table of the session's own, for the length of the block."""
    columns = ", ".join(identifier(name) for name in names)
    run(connection, f"create temp table {_GIVEN} on commit drop as select {columns} from {target} where false")
    copy_rows(comparison.connection, rows.query, connection, _GIVEN, names)
    matched = [name for name in names if name in table.layout.key] or names
    run(connection, f"analyze {_GIVEN} ({', '.join(map(identifier, matched))})")
    yield
    run(connection, f"drop table {_GIVEN}")


def _same(table: Relation) -> str:
    return " and ".join(_equal(table, name) for name in table.layout.key)


def _equal(table: Relation, name: str) -> str:
    there, given = f"there.{identifier(name)}", f"{_GIVEN}.{identifier(name)}"
    if name in table.layout.nullable:
        return f"{there} is not distinct from {given}"
    if name in table.layout.long and name not in table.layout.equal:  # the key's index holds its hash
        return f"md5({there}) = md5({given}) and {there} = {given}"
    return f"{there} = {given}"


def _fetch(connection: Connection, comparison: Comparison, table: Relation, target: str, rows: Rows) -> None:
    """Has the server read what it will need of the indexes, in their order. Rows come in the order of their key; in another
    index they go to places all over, and pages that come from the disk one by one cost more than the rows.
    """
    for first, *_ in table.layout.lookups:
        sought = identifier(first)
        places = Rows(rows.count, f"select distinct {sought} from ({rows.query}) where {sought} is not null")
        with _given(connection, comparison, table, places, target, (first,)):
            run(
                connection,
                f"select count(*) from (select {sought} from {_GIVEN} order by {sought}) as sought, lateral"
                f" (select from {target} as there where there.{sought} = sought.{sought} limit 1) as found",
            )


def _tidy(connection: Connection, server: Server, table: Relation) -> None:
    """What came lies in a list before each index of JSON, which every reader of the index goes through: sorted in."""
    for name in table.layout.documents:
        index = literal(named(server.schema, f"ix_{table.name}_{name}"))
        run(connection, f"select gin_clean_pending_list(to_regclass({index}))")


def _is_inverted(index: Index) -> bool:
    return bool(index.dialect_options["postgresql"]["using"] == "gin")
