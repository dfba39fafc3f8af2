"""Publishing to `analytics.duckdb` (spec 5, "Write, audit, publish").

The published file is a copy of the checkpointed working database without its working schemas, put in place by one
rename: readers see the last good run or this one, and who has the old file open keeps it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from eventpipe.failpoints import reach
from eventpipe.project.folder import Project
from eventpipe.sql import identifier, literal

_HIDDEN_SCHEMAS = ("work", "run")
# Taking tables out needs no more; the engine's own default is most of the machine.
_MEMORY = "256MB"


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


def publish(project: Project, rows: dict[str, int], runs: pl.DataFrame, run_comments: dict[str, str]) -> Published:
    """Replace the published file. The working database must be prepared, which gave `rows`, and closed in this process.

    `runs` becomes the table `runs`, with `run_comments` (column: description) as its comments.
    """
    temporary = Path(f"{project.analytics}.publishing")
    _remove(temporary)
    try:
        shutil.copyfile(project.warehouse, temporary)
        _make_public(temporary, runs, run_comments)
        _sync(temporary)
        reach("publish.written")
        temporary.replace(project.analytics)
    finally:
        # What a failed publish leaves is as large as the tables, and the disk may be what failed it.
        _remove(temporary)
    reach("publish.renamed")
    _sync(project.analytics.parent)
    return Published(project.analytics.stat().st_size, {**rows, "runs": len(runs)})


def _make_public(copy: Path, runs: pl.DataFrame, run_comments: dict[str, str]) -> None:
    """Take out what nobody reads and put in the runs."""
    with duckdb.connect(str(copy), config={"memory_limit": _MEMORY}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for schema in _HIDDEN_SCHEMAS:
            connection.execute(f"drop schema if exists {schema} cascade")
        connection.register("frame", runs.to_arrow())
        connection.execute("create or replace table main.runs as from frame")
        connection.unregister("frame")
        connection.execute("comment on table main.runs is 'One row per run of the pipeline.'")
        for column, text in run_comments.items():
            connection.execute(f'comment on column main.runs."{column}" is {literal(text)}')
        connection.execute("checkpoint")


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    Path(f"{temporary}.wal").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
