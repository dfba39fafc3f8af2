"""What differs between the edition that a server holds and the next one: only those rows travel.

Both lie beside the project as files. Rows are matched by a hash of their key and compared by one of their columns, or of
the few that tell (`Layout.marks`): 24 bytes of memory each. Whatever shares a key's hash with a changed row travels too,
so a collision costs a row sent in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from eventpipe.errors import StageFailed
from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres.relations import Relation, relations
from eventpipe.sql import identifier, literal

EDITION = "edition"
BASE = "base"
_CHANGED = "changed"
_FEW = 10_000


@dataclass(frozen=True)
class Change:
    """Rows of one table. `removed` are those there that go or change, None for all; `brought` those that come."""

    removed: int | None
    brought: int

    @property
    def is_nothing(self) -> bool:
        """Whether the table stays as it is."""
        return self.removed == 0 and self.brought == 0


class Comparison:
    """An edition and the one before it, open side by side."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, has_base: bool) -> None:
        self.connection = connection
        self.relations = relations(connection, EDITION)
        self._before = {each.name: each for each in relations(connection, BASE)} if has_base else {}
        self._is_everything = True
        self._tail = 0

    def change(self, relation: Relation, *, anew: bool = False) -> Change:
        """What changes in a table; `anew` when nothing is known of the rows there. The last one asked for is what
        `removed_keys` and `brought_rows` speak of.
        """
        before = self._before.get(relation.name)
        self._is_everything = anew or not relation.layout.key or before is None or before.columns != relation.columns
        if self._is_everything:
            rows = self.connection.execute(f"select count(*) from {_table(EDITION, relation)}").fetchone()
            assert rows is not None
            return Change(None, int(rows[0]))
        self.connection.execute(f"create or replace table {_CHANGED} as {_changed(relation)}")
        found = self.connection.execute(
            f"select count(distinct gone), count(distinct come), ({_tail(relation)}) from {_CHANGED}"
        ).fetchone()
        assert found is not None
        removed, brought, self._tail = map(int, found)
        return Change(removed, brought)

    def removed_keys(self, relation: Relation) -> str:
        """The keys of the rows that go, as a query."""
        return f"{_written(relation, BASE, relation.layout.key)} where rowid in (select gone from {_CHANGED})"

    def brought_rows(self, relation: Relation) -> str:
        """The rows that come, as a query."""
        rows = _written(relation, EDITION, tuple(column.name for column in relation.columns))
        if self._is_everything:
            return rows
        # What a run wrote lies at the end, where it is read without looking at what lies before.
        return (
            f"{rows} where rowid >= {self._tail} union all"
            f" {rows} where rowid in (select come from {_CHANGED} where come < {self._tail})"
        )


@contextmanager
def compared(edition: Path, base: Path | None, engine: EngineSettings, temporary: Path) -> Iterator[Comparison]:
    """An edition and the one before it, None when the server holds another; within the engine's limits.

    Errors: `StageFailed` where the engine stops, also while its rows travel.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": engine.memory,
        "temp_directory": str(temporary),
        "max_temp_directory_size": engine.temp_space,
        "preserve_insertion_order": False,
        # So few rows are looked for at their places, without reading the others of a table.
        "dynamic_or_filter_threshold": _FEW,
        **({"threads": engine.threads} if engine.threads else {}),
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


def _changed(relation: Relation) -> str:
    """Places of rows that differ: where the row of a key is in the base, and where it is in the edition."""
    names = tuple(column.name for column in relation.columns)
    told = tuple(name for name in relation.layout.marks if name in names) or names
    hashed = f"select rowid as place, {_hash(relation.layout.key)} as key_hash, {_hash(told)} as row_hash from"
    return (
        "select before.place as gone, after.place as come"
        f" from ({hashed} {_table(BASE, relation)}) as before"
        f" full outer join ({hashed} {_table(EDITION, relation)}) as after using (key_hash)"
        " where before.row_hash is distinct from after.row_hash"
    )


def _tail(relation: Relation) -> str:
    """From which place of the edition on every row has changed: the one after the last where the last has not."""
    return f"""
        select coalesce(min(come), max(last) + 1, 0)
        from (select max(rowid) as last from {_table(EDITION, relation)})
        left join (
            select come, row_number() over (order by come desc) as nth_last
            from (select distinct come from {_CHANGED} where come is not null)
        ) on come + nth_last = last + 1
    """


def _written(relation: Relation, database: str, names: tuple[str, ...]) -> str:
    columns = {column.name: column for column in relation.columns}
    written = ", ".join(f"{columns[name].written(relation.name)} as {identifier(name)}" for name in names)
    return f"select {written} from {_table(database, relation)}"


def _hash(names: tuple[str, ...]) -> str:
    return f"hash({', '.join(identifier(name) for name in names)})"


def _table(database: str, relation: Relation) -> str:
    return f"{database}.main.{identifier(relation.name)}"
