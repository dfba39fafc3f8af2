"""Dagster's SQLite files, kept open by the one process that writes a run.

Here: how they are opened. Not here: what lies in them, which is Dagster's own and what its UI reads.

Dagster makes an engine and opens a connection for every statement: some 2,300 times in a run of 400 events. Each time
SQLAlchemy renders the statement anew, and SQLite syncs the disk when it commits, and again when a file's last
connection closes: 5 ms of work for an event, and on a disk that takes 6 ms for a sync 18 s for a run. A connection that
stays open has neither; in WAL mode a commit needs no sync for the file to stay whole, only for the commit to outlast a
power cut. This is the UI's record; what counts is in the ops store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from dagster._core.instance.ref import _event_logs_directory, _runs_directory, _schedule_directory
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event, inspect


class KeptOpen(DagsterSqliteStorage):
    """Dagster's storage in `base_dir`, a DAGSTER_HOME, for a process that ends with its run."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Not its own, which would open the files itself.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir = base_dir
        self._run_storage = _Runs.from_local(_runs_directory(base_dir))
        self._event_log_storage = _EventLog(_event_logs_directory(base_dir))
        self._schedule_storage = SqliteScheduleStorage.from_local(_schedule_directory(base_dir))
        self._inst_data = inst_data

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        return cls.from_local(inst_data=inst_data, **config_value)


def kept_open(home: str) -> dict[str, Any]:
    """The key of dagster.yaml that asks for it."""
    place = {"module": KeptOpen.__module__, "class": KeptOpen.__name__, "config": {"base_dir": home}}
    return {"storage": {"custom": place}}


class _Runs(SqliteRunStorage):
    """The runs, in one file."""

    _engine: Engine | None = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        if self._engine is None:
            self._engine = _opened(self._conn_string)
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()


class _EventLog(SqliteEventLogStorage):
    """The events: a file for each run, and one for what is asked across runs."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in self._engines:
                engine = _opened(self.conn_string_for_shard(shard))
                self._initdb(engine)
                self._engines[shard] = engine
            with self._engines[shard].begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._tables:
            with self.index_connection() as connection:
                self._tables.update(inspect(connection).get_table_names())
        return table_name in self._tables

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()


def _opened(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _spare_the_disk)
    return engine


def _spare_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
