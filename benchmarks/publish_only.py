"""Publishing to PostgreSQL alone, in a process of its own: `python -m benchmarks.publish_only BEFORE AFTER`.

Both are published files of one project, the second of a run on 1 % more. Prints seconds as JSON: of plain COPY of the
first one's rows into bare tables, of publishing the first one, and of publishing the second one on top; and rows.

The server is that of EVENTPIPE_TEST_POSTGRES_URL, else the one in the tests' wheel.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psycopg
from sqlalchemy.schema import CreateSchema, CreateTable

from eventpipe.project.serving import ServingSettings
from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres.difference import compared
from eventpipe.serving.postgres.server import Server, named
from eventpipe.serving.postgres.transfer import copy_rows
from eventpipe.serving.postgres.upload import Base, Edition, Uploader
from eventpipe.serving.publish import edition_of
from eventpipe.serving.unchanged import keep_run_ids
from eventpipe_tests.postgres import postgres

_BARE = "bare"
_CHUNK = 1 << 24
_SETTINGS = ("shared_buffers=2GB", "max_wal_size=2GB")
"""As docs/operations.md has a server of that size; everything that is timed runs with them."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish_only", description="Time publishing.")
    parser.add_argument("before", type=Path, help="a published file")
    parser.add_argument("after", type=Path, help="that of the next run")
    given = parser.parse_args()
    with postgres(*_SETTINGS) as running, running.database() as url, TemporaryDirectory() as spill:
        server = Server.of(ServingSettings(url=url))
        assert server is not None
        uploader = Uploader(server, EngineSettings(), Path(spill), lambda: datetime.now(UTC))
        first, second = (_edition(path) for path in (given.before, given.after))
        copied = _copy(server, given.before, Path(spill))
        began = time.perf_counter()
        brought = uploader.upload(first, None, nullcontext)
        published = time.perf_counter()
        _settle(url, given.before, given.after)
        began_more = time.perf_counter()
        _keep_run_ids(given.after, given.before)
        more = uploader.upload(second, Base(given.before, first.run_id), nullcontext)
        ended = time.perf_counter()
        print(
            json.dumps(
                {
                    "copy": copied,
                    "first": published - began,
                    "increment": ended - began_more,
                    "rows": brought.brought,
                    "served": _events(url),
                    "moved": more.removed + more.brought,
                }
            )
        )


def _keep_run_ids(after: Path, before: Path) -> None:
    """What a run does before its publish where PostgreSQL serves; the benchmark's runs were served from a file."""
    with duckdb.connect(str(after)) as connection:
        keep_run_ids(connection, before)


def _settle(url: str, *files: Path) -> None:
    """As a day later: the server has written what the first publish left in its memory. And the files have been read
    once, as a run has, which makes the one of the other.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")
    for path in files:
        with path.open("rb") as file:
            while file.read(_CHUNK):
                pass


def _edition(path: Path) -> Edition:
    run_id = edition_of(path)
    assert run_id is not None, f"{path} is no published file"
    return Edition(path, run_id, 1, datetime.now(UTC), _AnyRun())


class _AnyRun(frozenset[str]):
    def __contains__(self, _run: object) -> bool:
        return True


def _copy(server: Server, path: Path, spill: Path) -> float:
    """Seconds of the same rows into tables without keys, indexes and comments, in one transaction."""
    began = time.perf_counter()
    with server.writing() as connection, compared(path, None, EngineSettings(), spill) as comparison:
        connection.execute(CreateSchema(_BARE))
        for table in comparison.relations:
            if table.sql is None:
                connection.execute(CreateTable(table.table(_BARE)))
                rows = comparison.whole(table).brought.query
                copy_rows(comparison.connection, rows, connection, named(_BARE, table.name), table.names)
        connection.commit()
    seconds = time.perf_counter() - began
    with server.connect() as connection:
        connection.exec_driver_sql(f"drop schema {_BARE} cascade")
        connection.commit()
    return seconds


def _events(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("select count(*) from eventpipe.events").fetchone()
    assert found is not None
    return int(found[0])


if __name__ == "__main__":
    main()
