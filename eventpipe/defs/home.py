"""Dagster's own state, in the project's state folder: its settings, and how it is written to.

Here: `dagster.yaml` and opening the instance. Not here: definitions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import dagster as dg
from sqlalchemy import Engine, event

from eventpipe.project.folder import Project

SETTINGS: Final = """\
# Written by eventpipe, and again whenever it differs.
telemetry:
  enabled: false
nux:
  enabled: false  # asks people for an address to send news to

# What steps print is not kept: it could hold personal data. People see metadata instead.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager

# eventpipe's lease keeps two runs from writing at once, and is free again a minute after its run was killed. So there
# is no pool and no limit here that a killed run could go on holding; what is stuck all the same is marked failed.
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  max_runtime_seconds: 43200

# The sensor looks every 30 seconds, and mostly finds nothing.
retention:
  sensor: {purge_after_days: {skipped: 1, started: 30, success: 30, failure: 30}}
  schedule: {purge_after_days: {skipped: 30, started: 90, success: 90, failure: 90}}
"""


def dagster_home(project: Project) -> Path:
    """The folder that DAGSTER_HOME has to name for this project, made if need be, with its settings in it."""
    home = project.state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists() or settings.read_text(encoding="utf-8") != SETTINGS:
        temporary = home / f"dagster.yaml.{os.getpid()}.tmp"
        temporary.write_text(SETTINGS, encoding="utf-8")
        temporary.replace(settings)
    return home


@contextmanager
def open_instance(project: Project) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance, for a run in this process."""
    home = dagster_home(project)
    with _sparing_the_disk(home), dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@contextmanager
def _sparing_the_disk(home: Path) -> Iterator[None]:
    """Lets this process write to Dagster's SQLite files in `home` without syncing the disk for every event.

    Dagster opens a connection for each event, and SQLite syncs when it commits, and again when a file's last
    connection closes: 2,900 syncs for a run of 190 events, 18 s on a disk that takes 6 ms for each, 30 of them with
    this. In WAL mode a commit needs no sync for the file to stay whole, only for the commit to outlast a power cut,
    and a connection that stays open spares those of closing. This is the UI's record; what counts is in the ops store.
    """
    with ExitStack() as opened:
        kept: set[str] = set()

        def on_connect(connection: Any, _record: Any) -> None:
            if not isinstance(connection, sqlite3.Connection):
                return
            file = connection.execute("pragma database_list").fetchone()[2]
            if not Path(file).is_relative_to(home):
                return
            connection.execute("pragma synchronous = normal")
            if file not in kept:
                kept.add(file)
                connection.execute("pragma journal_mode = wal")
                keeper = opened.enter_context(closing(sqlite3.connect(file, check_same_thread=False)))
                keeper.execute("select count(*) from sqlite_master").fetchone()

        event.listen(Engine, "connect", on_connect)
        opened.callback(event.remove, Engine, "connect", on_connect)
        yield
