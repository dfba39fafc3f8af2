"""Publishing to `analytics.duckdb` (spec 5, "Write, audit, publish").

The published file is a copy of the checkpointed working database without its working schemas, put in place by one
rename: readers see the last good run or this one, and who has the old file open keeps it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from eventpipe.failpoints import reach
from eventpipe.project.folder import Project
from eventpipe.sql import identifier, literal

PREVIOUS = "previous"
"""What the published file is called while its successor is made, if it can be read."""

_HIDDEN_SCHEMAS = ("work", "run")
# Taking tables out and comparing ids needs no more; the engine's own default is most of the machine.
_MEMORY = "1GB"


@dataclass(frozen=True)
class Published:
    """The published file's size and the rows of each table."""

    bytes: int
    rows: dict[str, int]


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


def publish(project: Project, rows: dict[str, int], observe: Observe) -> Published:
    """Replace the published file. The working database must be prepared, which gave `rows`, and closed in this process."""
    temporary = Path(f"{project.analytics}.publishing")
    _remove(temporary)
    try:
        shutil.copyfile(project.warehouse, temporary)
        observed = _make_public(temporary, project.analytics, observe)
        _sync(temporary)
        reach("publish.written")
        temporary.replace(project.analytics)
    finally:
        # What a failed publish leaves is as large as the tables, and the disk may be what failed it.
        _remove(temporary)
    reach("publish.renamed")
    _sync(project.analytics.parent)
    return Published(project.analytics.stat().st_size, {**rows, **observed})


def _make_public(copy: Path, published: Path, observe: Observe) -> dict[str, int]:
    """Take out what nobody reads and put in what was observed; the rows of each of those."""
    with duckdb.connect(str(copy), config={"memory_limit": _MEMORY}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for schema in _HIDDEN_SCHEMAS:
            connection.execute(f"drop schema if exists {schema} cascade")
        is_previous = _attached(connection, published)
        rows: dict[str, int] = {}
        for each in observe(connection, is_previous):
            _store(connection, each)
            rows[each.name] = len(each.rows)
        if is_previous:
            connection.execute(f"detach {PREVIOUS}")
        connection.execute("checkpoint")
        return rows


def _attached(connection: duckdb.DuckDBPyConnection, published: Path) -> bool:
    """Whether there is a published file that can be read. One that cannot is as good as none: it is replaced."""
    if not published.exists():
        return False
    try:
        connection.execute(f"attach {literal(str(published))} as {PREVIOUS} (read_only)")
    except duckdb.Error:
        return False
    return True


def _store(connection: duckdb.DuckDBPyConnection, table: Observed) -> None:
    name = f"main.{identifier(table.name)}"
    connection.register("frame", table.rows.to_arrow())
    connection.execute(f"create or replace table {name} as from frame")
    connection.unregister("frame")
    connection.execute(f"comment on table {name} is {literal(table.description)}")
    for column, text in table.columns.items():
        connection.execute(f"comment on column {name}.{identifier(column)} is {literal(text)}")


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    Path(f"{temporary}.wal").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
