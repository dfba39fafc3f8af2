"""What differs between the edition that a server holds and the next one: only those rows travel.

Both lie beside the project as files. Rows are matched by a hash of their key and compared by one of their columns, or of
the few that tell (`Layout.marks`): 24 bytes of memory each. Should two keys share a hash, the numbers of rows do not add
up, here or on the server, and the table is sent whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from eventpipe.engine import Configuration, limits
from eventpipe.errors import StageFailed
from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres.relations import Relation, relations
from eventpipe.sql import identifier, literal

EDITION = "edition"
BASE = "base"
_FEW = 10_000
_READ_AHEAD = 1_000_000


@dataclass(frozen=True)
class Rows:
    """So many rows, and the engine's query for them."""

    count: int
    query: str


@dataclass(frozen=True)
class Change:
    """What makes one table that of the edition. `removed`: keys of the rows that go, None for all rows there;
    `changed`: rows whose keys are there; `brought`: rows whose keys are not.
    """

    removed: Rows | None
    changed: Rows
    brought: Rows


class Comparison:
    """An edition and the one before it, open side by side."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, has_base: bool) -> None:
        self.connection = connection
        self.relations = relations(connection, EDITION)
        self._before = {each.name: each for each in relations(connection, BASE)} if has_base else {}

    def changes(self, tables: Sequence[Relation], anew: Collection[str]) -> Iterator[tuple[Relation, Change]]:
        """What changes in each of these tables; `anew`: the names of those of whose rows there nothing is known.

        The engine compares the next tables, and reads what changed in them, while the caller is busy with one.
        """
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="comparison")
        try:
            begun = [pool.submit(self._change, table, table.name in anew) for table in tables]
            for table, change in zip(tables, begun, strict=True):
                yield table, change.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def whole(self, relation: Relation) -> Change:
        """All rows there go, all rows of the edition come."""
        rows = _written(relation, EDITION, relation.names)
        return Change(None, Rows(0, rows), Rows(self.rows(relation), rows))

    def rows(self, relation: Relation) -> int:
        """How many rows of a table the edition has."""
        return _count(self.connection, EDITION, relation)

    def _change(self, relation: Relation, is_anew: bool) -> Change:
        before = self._before.get(relation.name)
        if is_anew or not relation.layout.key or before is None or before.columns != relation.columns:
            return self.whole(relation)
        with self.connection.cursor() as engine:
            places = identifier(f"places of {relation.name}")
            engine.execute(f"create or replace table {places} as {_places(relation)}")
            found = engine.execute(
                f"""
                select
                    count(distinct gone) filter (where come is null),
                    count(distinct come) filter (where gone is not null),
                    count(distinct come) filter (where gone is null),
                    ({_tail(relation, places)})
                from {places}
                """
            ).fetchone()
            assert found is not None
            removed, changed, brought, tail = map(int, found)
            rows_before, rows = (_count(engine, database, relation) for database in (BASE, EDITION))
            if rows_before - removed + brought != rows:
                return self.whole(relation)
            keys = _written(relation, BASE, relation.layout.key)
            written = _written(relation, EDITION, relation.names)
            of_known = f"select come from {places} where gone is not null"
            of_new = f"select come from {places} where gone is null"
            return Change(
                _read(
                    engine,
                    f"removed from {relation.name}",
                    Rows(removed, f"{keys} where rowid in (select gone from {places} where come is null)"),
                ),
                _read(engine, f"changed in {relation.name}", Rows(changed, f"{written} where rowid in ({of_known})")),
                _read(
                    engine,
                    f"brought to {relation.name}",
                    # What a run wrote lies at the end, where it is read without looking at what lies before. In the
                    # order of the key the server goes through its index once.
                    Rows(
                        brought,
                        f"from ({written} where rowid >= {tail} and rowid not in ({of_known} and come >= {tail})"
                        f" union all {written} where rowid in ({of_new} and come < {tail}))"
                        f" order by {', '.join(map(identifier, relation.layout.key))}",
                    ),
                ),
            )


@contextmanager
def compared(edition: Path, base: Path | None, engine: EngineSettings, temporary: Path) -> Iterator[Comparison]:
    """An edition and the one before it, None when the server holds another; within the engine's limits.

    Errors: `StageFailed` where the engine stops, also while its rows travel.
    """
    config: Configuration = limits(engine, temporary) | {
        "preserve_insertion_order": False,
        # So few rows are looked for at their places, without reading the others of a table.
        "dynamic_or_filter_threshold": _FEW,
    }
    try:
        with duckdb.connect(config=config) as connection:
            connection.execute("set global TimeZone = 'UTC'")  # for its cursors too
            connection.execute(f"attach {literal(str(edition))} as {EDITION} (read_only)")
            if base is not None:
                connection.execute(f"attach {literal(str(base))} as {BASE} (read_only)")
            yield Comparison(connection, has_base=base is not None)
    except duckdb.Error as error:
        raise StageFailed(
            f"The engine stopped while the tables were read that are to be published: {str(error).splitlines()[0][:300]} "
            "Nothing was published. It keeps to engine.memory and engine.temp_space: make room or raise them, and run again."
        ) from error


def _read(engine: duckdb.DuckDBPyConnection, name: str, rows: Rows) -> Rows:
    """The rows, looked for now and kept by the engine: a server that waits for its next rows waits for no search. Of very
    many the search is the least part, and keeping them costs room.
    """
    if not 0 < rows.count <= _READ_AHEAD:
        return rows
    kept = identifier(name)
    engine.execute(f"create or replace table {kept} as {rows.query}")
    return Rows(rows.count, f"from {kept}")


def _places(relation: Relation) -> str:
    """Places of rows that differ: where the row of a key is in the base, and where it is in the edition."""
    names = relation.names
    told = tuple(name for name in relation.layout.marks if name in names) or names
    hashed = f"select rowid as place, {_hash(relation.layout.key)} as key_hash, {_hash(told)} as row_hash from"
    return (
        "select before.place as gone, after.place as come"
        f" from ({hashed} {_table(BASE, relation)}) as before"
        f" full outer join ({hashed} {_table(EDITION, relation)}) as after using (key_hash)"
        " where before.row_hash is distinct from after.row_hash"
    )


def _tail(relation: Relation, places: str) -> str:
    """From which place of the edition on every row differs: the one after the last that does not."""
    return f"""
        select coalesce(min(come), max(last) + 1, 0)
        from (select max(rowid) as last from {_table(EDITION, relation)})
        left join (
            select come, row_number() over (order by come desc) as nth_last
            from (select distinct come from {places} where come is not null)
        ) on come + nth_last = last + 1
    """


def _count(connection: duckdb.DuckDBPyConnection, database: str, relation: Relation) -> int:
    found = connection.execute(f"select count(*) from {_table(database, relation)}").fetchone()
    assert found is not None
    return int(found[0])


def _written(relation: Relation, database: str, names: tuple[str, ...]) -> str:
    columns = {column.name: column for column in relation.columns}
    written = ", ".join(f"{columns[name].written(relation.name)} as {identifier(name)}" for name in names)
    return f"select {written} from {_table(database, relation)}"


def _hash(names: tuple[str, ...]) -> str:
    return f"hash({', '.join(identifier(name) for name in names)})"


def _table(database: str, relation: Relation) -> str:
    return f"{database}.main.{identifier(relation.name)}"
