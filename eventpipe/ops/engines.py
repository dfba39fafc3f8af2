"""SQLAlchemy engines for the ops store: SQLite files and PostgreSQL, set up so that a commit is a commit.

SQLite: WAL (readers never wait for the writer), synchronous=FULL (a commit survives a power cut), foreign
keys on, a busy timeout, and every writing transaction begun IMMEDIATE: it holds the write lock before it
reads, so what it has checked is still true when it commits. PostgreSQL: a schema of its own, because
Dagster keeps a table `runs` too.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from eventpipe.errors import UsageError

POSTGRES_SCHEMA = "eventpipe_ops"
ENCODING = "UTF8"
"""What text is sent in and kept as: a server whose own is another takes it for that where nothing is said."""

READ_ONLY = {"ops_begin": "BEGIN"}
_POSTGRES_DRIVERS = {"postgres", "postgresql", "postgresql+psycopg"}


def engine_for(url_or_path: str | Path, busy_timeout: timedelta) -> Engine:
    """An engine for a path, a `sqlite:///` URL or a `postgresql://` URL; it connects when first used.

    Raises UsageError for any other database, and for SQLite in memory, which no second connection could see.
    Bound values never appear in its errors: they can hold personal data.
    """
    url = _url(url_or_path)
    if url.drivername in _POSTGRES_DRIVERS:
        url = url.set(drivername="postgresql+psycopg")
        try:
            engine = create_engine(
                url,
                hide_parameters=True,
                pool_pre_ping=True,
                # Who waited for the lease's row has to see what it says now, not when its transaction began.
                isolation_level="READ COMMITTED",
                connect_args={"client_encoding": ENCODING},
            )
        except ModuleNotFoundError as error:
            raise UsageError("An ops store in PostgreSQL needs the driver: install eventpipe[postgres].") from error
        event.listen(engine, "connect", settle)
        return engine.execution_options(schema_translate_map={None: POSTGRES_SCHEMA})
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        shown = url.render_as_string(hide_password=True)
        raise UsageError(f"The ops store cannot be kept in {shown}: give a file path or a postgresql:// address.")
    seconds = busy_timeout.total_seconds()
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": seconds})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: see `begin`
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma synchronous = full")
        _enter_wal(connection, seconds)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("ops_begin", "BEGIN IMMEDIATE"))

    return engine


def place_of(engine: Engine) -> str:
    """Where the store is, for messages: the file, or the address, of whose options only those that say where."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    where = {name: value for name, value in engine.url.query.items() if name in ("host", "port")}
    return engine.url.set(drivername="postgresql", query=where).render_as_string(hide_password=True)


def schema_of(engine: Engine) -> str | None:
    """The schema that holds the store's tables: None on SQLite."""
    return None if engine.dialect.name == "sqlite" else POSTGRES_SCHEMA


def settle(connection: Any, _record: object = None) -> None:
    """Gives a session of the driver what it and eventpipe rely on, whatever the server, the database or the role say:
    other ways to write an instant the driver does not read, and text in quotes holds backslashes as they are.
    """
    with connection.cursor() as cursor:
        cursor.execute("set datestyle = 'ISO, YMD'; set standard_conforming_strings = on; set timezone = 'UTC'")
    connection.commit()


def encoding_refusal(connection: Connection, place: str) -> str | None:
    """Why a database cannot be used that keeps text in an encoding without everybody's names; None of one that can."""
    driver = connection.connection.driver_connection
    assert driver is not None
    encoding = driver.info.parameter_status("server_encoding")
    if encoding == ENCODING:
        return None
    return (
        f"The database at {place} keeps text as {encoding}, which does not hold everybody's names. Nothing was done. Make "
        f"another (create database ... encoding '{ENCODING}' template template0) and give its address."
    )


def _url(url_or_path: str | Path) -> URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(url_or_path))
    try:
        return make_url(url_or_path)
    except ArgumentError:
        # The address is not shown, and the cause not chained: it may hold a password that was not
        # recognised as one.
        raise UsageError("The address of the ops store is no valid URL (postgresql://user@host/name).") from None


def _enter_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Switches the file to WAL if it is not; it stays so. Where the file system has no shared memory, it
    stays as it is.

    Changing the mode needs the file alone, and SQLite does not apply its busy timeout to that, hence the
    loop.
    """
    pause = 0.02
    for attempts_left in range(max(1, int(seconds / pause)), -1, -1):
        try:
            if connection.execute("pragma journal_mode").fetchone()[0] != "wal":
                connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempts_left == 0:
                raise
        time.sleep(pause)
