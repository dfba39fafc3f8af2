"""Publishing to `analytics.duckdb`.

The published file is a copy of the checkpointed working database without its working schemas, put in place by one
rename: readers see the last good run or this one, and who has the old file open keeps it. Where PostgreSQL serves, the
file is what the next publish is compared with, and what the project's own commands read.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from eventpipe.failpoints import reach
from eventpipe.files import sync
from eventpipe.project.folder import Project
from eventpipe.sql import identifier, literal

PREVIOUS = "previous"
"""What the published file is called while its successor is made, if it can be read."""

_HIDDEN_SCHEMAS = ("work", "run")
_EDITION = "edition.run"
# Taking tables out and comparing ids needs no more; the engine's own default is most of the machine.
_MEMORY = "1GB"


@dataclass(frozen=True)
class Published:
    """The published file's size and the rows of each table; of a server, the rows that were taken away and brought."""

    bytes: int
    rows: dict[str, int]
    removed: int | None = None
    brought: int | None = None


def prepare(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Make the working database's file complete, to be copied; the rows of each table and view that people read."""
    connection.execute("checkpoint")
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main' order by table_name"
    ).fetchall()
    counts = ", ".join(f"(select count(*) from main.{identifier(name)})" for (name,) in names)
    found = connection.execute(f"select {counts}").fetchone()
    assert found is not None
    return {name: int(count) for (name,), count in zip(names, found, strict=True)}


@dataclass(frozen=True)
class Observed:
    """A published table that is not made from the lake: its rows, what it says, and what each column does."""

    name: str
    rows: pl.DataFrame
    description: str
    columns: Mapping[str, str]


Observe = Callable[[duckdb.DuckDBPyConnection, bool], Iterable[Observed]]
"""Makes those tables, from the tables that are about to be published and, if the flag says that it is there, the schema
`previous.main` with those that are published now.
"""


@contextmanager
def assembled(project: Project, rows: dict[str, int], run_id: str, observe: Observe) -> Iterator[Assembled]:
    """The tables to be published, in a file beside the published one, whole and on the disk. At the end of the block it
    is gone unless it was put in place or kept.

    The working database must be prepared, which gave `rows`, and closed in this process.
    """
    temporary = _temporary(project)
    _remove(temporary)
    made = Assembled(temporary, project.analytics)
    try:
        copy_file(project.warehouse, temporary)
        observed = _make_public(temporary, project.analytics, run_id, observe)
        sync(temporary)
        reach("publish.written")
        made.rows = {**rows, **observed}
        yield made
    finally:
        # What a failed publish leaves is as large as the tables, and the disk may be what failed it.
        if not made.is_kept:
            _remove(temporary)


class Assembled:
    """The file of the next tables."""

    def __init__(self, path: Path, published: Path) -> None:
        self.path = path
        self.rows: dict[str, int] = {}
        self.is_kept = False
        self._published = published

    def keep(self) -> None:
        """Somebody reads these tables elsewhere by now: should this process end, the next run puts the file in place."""
        self.is_kept = True

    def put_in_place(self) -> Published:
        """Replaces the published file by one rename."""
        _put_in_place(self.path, self._published)
        return Published(self._published.stat().st_size, self.rows)


def copy_file(source: Path, target: Path) -> None:
    """A copy of a file. File systems that can (XFS, Btrfs) let both have the same blocks, until one is written to."""
    if sys.platform == "linux":
        # Not every file system takes the call, and none between two; what really fails does so again below.
        with suppress(OSError), source.open("rb") as read, target.open("wb") as written:
            left = os.fstat(read.fileno()).st_size
            while left and (copied := os.copy_file_range(read.fileno(), written.fileno(), left)):
                left -= copied
            if not left:
                return
    shutil.copyfile(source, target)


def edition_of(path: Path) -> str | None:
    """The run whose tables a published file holds; None where there is no file that says so."""
    if not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute(f"select run_id from {_EDITION}").fetchone()
    except duckdb.Error:
        return None
    return None if found is None else str(found[0])


def finish_cut_publish(project: Project, served: str) -> bool:
    """Puts the file of run `served` in place, whose process ended after readers elsewhere got its tables and before
    its rename. Whether there was one.
    """
    temporary = _temporary(project)
    if edition_of(temporary) != served:
        return False
    _put_in_place(temporary, project.analytics)
    return True


def _make_public(copy: Path, published: Path, run_id: str, observe: Observe) -> dict[str, int]:
    """Take out what nobody reads and put in what was observed; the rows of each of those."""
    with duckdb.connect(str(copy), config={"memory_limit": _MEMORY}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for schema in _HIDDEN_SCHEMAS:
            connection.execute(f"drop schema if exists {schema} cascade")
        connection.execute(f"create schema {_EDITION.partition('.')[0]}")
        connection.execute(f"create table {_EDITION} as select $1::varchar as run_id", [run_id])
        rows: dict[str, int] = {}
        with attached(connection, published) as is_previous:
            for each in observe(connection, is_previous):
                _store(connection, each)
                rows[each.name] = len(each.rows)
        connection.execute("checkpoint")
        return rows


@contextmanager
def attached(connection: duckdb.DuckDBPyConnection, published: Path) -> Iterator[bool]:
    """The published file as the database `previous`, for the length of the block. Whether there is one that can be read:
    one that cannot is as good as none, for it is replaced.
    """
    try:
        is_there = published.exists()
        if is_there:
            connection.execute(f"attach {literal(str(published))} as {PREVIOUS} (read_only)")
    except duckdb.Error:
        is_there = False
    yield is_there
    if is_there:
        connection.execute(f"detach {PREVIOUS}")


def _store(connection: duckdb.DuckDBPyConnection, table: Observed) -> None:
    name = f"main.{identifier(table.name)}"
    connection.register("frame", table.rows.to_arrow())
    connection.execute(f"create or replace table {name} as from frame")
    connection.unregister("frame")
    connection.execute(f"comment on table {name} is {literal(table.description)}")
    for column, text in table.columns.items():
        connection.execute(f"comment on column {name}.{identifier(column)} is {literal(text)}")


def _put_in_place(temporary: Path, published: Path) -> None:
    temporary.replace(published)
    reach("publish.renamed")
    sync(published.parent)


def _temporary(project: Project) -> Path:
    return Path(f"{project.analytics}.publishing")


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    Path(f"{temporary}.wal").unlink(missing_ok=True)
