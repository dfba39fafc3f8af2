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


@dataclass(frozen=True)
class Published:
    """The published file's size and the rows of each table."""

    bytes: int
    rows: dict[str, int]


def publish(project: Project, runs: pl.DataFrame, run_comments: dict[str, str]) -> Published:
    """Replace the published file. The working database must be closed in this process.

    `runs` becomes the table `runs`, with `run_comments` (column: description) as its comments.
    """
    temporary = Path(f"{project.analytics}.publishing")
    _remove(temporary)
    try:
        shutil.copyfile(project.warehouse, temporary)
        rows = _made_public(temporary, runs, run_comments)
        _sync(temporary)
        reach("publish.written")
        temporary.replace(project.analytics)
    finally:
        # What a failed publish leaves is as large as the tables, and the disk may be what failed it.
        _remove(temporary)
    reach("publish.renamed")
    _sync(project.analytics.parent)
    return Published(project.analytics.stat().st_size, rows)


def _made_public(copy: Path, runs: pl.DataFrame, run_comments: dict[str, str]) -> dict[str, int]:
    """Take out what nobody reads and put in the runs; the rows of each table."""
    with duckdb.connect(str(copy)) as connection:
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
        return _rows(connection)


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    Path(f"{temporary}.wal").unlink(missing_ok=True)


def _rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Of what people read, views too: they are tables to whoever queries them."""
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main' order by table_name"
    ).fetchall()
    counts = ", ".join(f"(select count(*) from main.{identifier(name)})" for (name,) in names)
    found = connection.execute(f"select {counts}").fetchone()
    assert found is not None
    return {name: int(count) for (name,), count in zip(names, found, strict=True)}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
