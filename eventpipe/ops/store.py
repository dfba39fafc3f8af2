"""Opening the ops store, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, inspect

from eventpipe.ops import schema
from eventpipe.ops.engines import POSTGRES_SCHEMA, READ_ONLY, engine_for, place_of, schema_of
from eventpipe.ops.faults import OpsStoreError, explained
from eventpipe.ops.tables import metadata

BUSY_TIMEOUT = timedelta(seconds=30)


class OpsStore:
    """The ops store of one project. Open it once per process; it may be used from several threads, not
    across a fork.

    Any method can raise OpsStoreError, which says what is wrong with the store, where it is, and what to do.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.place = place_of(engine)

    @classmethod
    def open(cls, url_or_path: str | Path, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> Self:
        """Opens the store, made or migrated if need be; any number of processes may do so at once.

        `url_or_path` is a file (SQLite; its folder must exist) or a `postgresql://` URL. `busy_timeout` is
        how long a transaction on SQLite waits for another process's to end.
        """
        store = cls(engine_for(url_or_path, busy_timeout))
        try:
            with store.read() as connection:
                current = schema.is_current(connection, store.place)
            if not current:
                with store.begin() as connection:
                    schema.upgrade(connection, store.place)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def is_made(cls, url: str) -> bool:
        """Whether a server holds the store's tables."""
        with cls(engine_for(url, BUSY_TIMEOUT)) as store, store.read() as connection:
            return inspect(connection).has_table(schema.VERSION_TABLE, schema=schema_of(store._engine))

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A writing transaction: committed at the end of the block, rolled back by any exception.

        On SQLite it holds the write lock from its beginning (BEGIN IMMEDIATE), so keep it short.
        """
        with explained(self.place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; on SQLite it sees one instant, and never waits for a writer."""
        with (
            explained(self.place),
            self._engine.connect().execution_options(**READ_ONLY) as connection,
            connection.begin(),
        ):
            yield connection

    def compact(self) -> None:
        """Writes every table anew, so that what was deleted is in no file of the database any more.

        Raises OpsStoreError where another process reads for longer than the store waits.
        """
        with explained(self.place), self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                self._compact_file(connection)
                return
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")  # no transaction may rewrite a table so
            alone.exec_driver_sql(f"set lock_timeout = {int(BUSY_TIMEOUT.total_seconds() * 1000)}")
            try:
                for table in metadata.sorted_tables:
                    alone.exec_driver_sql(f"vacuum (full, analyze) {POSTGRES_SCHEMA}.{table.name}")
            finally:
                alone.exec_driver_sql("reset lock_timeout")

    def _compact_file(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("vacuum")
        is_busy, *_ = driver.execute("pragma wal_checkpoint(truncate)").fetchone()
        if is_busy:
            raise OpsStoreError(
                f"The ops store {self.place} was written anew, but its journal still holds what was deleted: another process "
                "reads it. End that, and call `eventpipe erase --resume`."
            )

    def close(self) -> None:
        """Closes its connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
