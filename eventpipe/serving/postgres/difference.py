"""What differs between the edition that a server holds and the next one: only those rows travel.

Both lie beside the project as files. A row is compared by a hash of its key and one of all its columns, 16 bytes of
memory each; whatever shares a key's hash with a changed row travels too, so a collision costs a row sent in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres.relations import Relation, relations
from eventpipe.sql import identifier, literal

EDITION = "edition"
BASE = "base"
_CHANGED = "changed"


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
            f"select count(*) filter (was_there), count(*) filter (is_there) from {_CHANGED}"
        ).fetchone()
        assert found is not None
        return Change(int(found[0]), int(found[1]))

    def removed_keys(self, relation: Relation) -> str:
        """The keys of the rows that go, as a query."""
        return _selected(relation, BASE, relation.layout.key, "was_there")

    def brought_rows(self, relation: Relation) -> str:
        """The rows that come, as a query."""
        names = tuple(column.name for column in relation.columns)
        return _selected(relation, EDITION, names, None if self._is_everything else "is_there")


@contextmanager
def compared(edition: Path, base: Path | None, engine: EngineSettings, temporary: Path) -> Iterator[Comparison]:
    """An edition and the one before it, None when the server holds another; within the engine's limits."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": engine.memory,
        "temp_directory": str(temporary),
        "max_temp_directory_size": engine.temp_space,
        "preserve_insertion_order": False,
        **({"threads": engine.threads} if engine.threads else {}),
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("set global TimeZone = 'UTC'")  # for its cursors too
        connection.execute(f"attach {literal(str(edition))} as {EDITION} (read_only)")
        if base is not None:
            connection.execute(f"attach {literal(str(base))} as {BASE} (read_only)")
        yield Comparison(connection, has_base=base is not None)


def _changed(relation: Relation) -> str:
    """Hashes of keys whose row differs, and on which side there is one."""
    columns = ", ".join(identifier(column.name) for column in relation.columns)
    hashed = f"select {_key(relation)} as key_hash, hash({columns}) as row_hash from"
    return (
        "select distinct key_hash, before.row_hash is not null as was_there, after.row_hash is not null as is_there"
        f" from ({hashed} {_table(BASE, relation)}) as before"
        f" full outer join ({hashed} {_table(EDITION, relation)}) as after using (key_hash)"
        " where before.row_hash is distinct from after.row_hash"
    )


def _selected(relation: Relation, database: str, names: tuple[str, ...], flag: str | None) -> str:
    columns = {column.name: column for column in relation.columns}
    written = ", ".join(f"{columns[name].written(relation.name)} as {identifier(name)}" for name in names)
    query = f"select {written} from {_table(database, relation)}"
    if flag is None:
        return query
    return f"{query} where {_key(relation)} in (select key_hash from {_CHANGED} where {flag})"


def _key(relation: Relation) -> str:
    return f"hash({', '.join(identifier(name) for name in relation.layout.key)})"


def _table(database: str, relation: Relation) -> str:
    return f"{database}.main.{identifier(relation.name)}"
