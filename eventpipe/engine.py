"""The embedded engine (DuckDB) within the limits of a project: its memory, its threads, its room for what does not fit
in memory, and nothing that is fetched from elsewhere.

No two instances may spill into one folder, in one process or in two: they name their files alike, and read each other's.
Who holds the lease has a folder of a fixed name; anybody else has one of their own.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from datetime import timedelta
from functools import cache
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import duckdb

if TYPE_CHECKING:
    from eventpipe.project.folder import Project
    from eventpipe.project.settings import EngineSettings

Configuration = dict[str, str | bool | int | float | list[str]]

_SPILL: Final = "spill-"
# Of a process that is alive it is written to while a query runs, and gone when the connection is closed.
_LEFT_BEHIND: Final = timedelta(days=1)
_numbers = count()


def limits(engine: EngineSettings, spill: Path) -> Configuration:
    """The engine's settings for an instance that spills into the folder `spill`, which it makes and takes away."""
    return {
        "memory_limit": engine.memory,
        "temp_directory": str(spill),
        "max_temp_directory_size": engine.temp_space,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        **({"threads": engine.threads} if engine.threads else {}),
    }


def closed_off(engine: EngineSettings, spill: Path) -> Configuration:
    """The same for an instance that reaches its own database and no other file, nor a variable of the calling program."""
    # In this order: the other way round the engine refuses the folder.
    return {"enable_external_access": False, "python_enable_replacements": False} | limits(engine, spill)


def spill_folder(project: Project, instance: str) -> Path:
    """Where an instance of this process spills; `instance` tells it from the others of this process."""
    with suppress(OSError):  # who may only read a project's folder gets as far as memory goes
        project.state.mkdir(parents=True, exist_ok=True)
    return project.state / f"{_SPILL}{_this_process(os.getpid())}-{instance}"


def in_memory(project: Project) -> duckdb.DuckDBPyConnection:
    """An instance of its own, in memory and UTC. The order of rows is the query's."""
    connection = duckdb.connect(config=limits(project.settings.engine, spill_folder(project, str(next(_numbers)))))
    connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
    return connection


def sweep(project: Project) -> None:
    """Take away what processes that were killed had spilled."""
    latest = time.time() - _LEFT_BEHIND.total_seconds()
    for left in project.state.glob(f"{_SPILL}*"):
        with suppress(FileNotFoundError):  # its process has ended meanwhile
            if max(each.stat().st_mtime for each in (left, *left.iterdir())) < latest:
                shutil.rmtree(left, ignore_errors=True)


@cache
def _this_process(pid: int) -> str:
    """What no other process is called, on whatever machine; a fork is another."""
    return f"{pid}-{token_hex(4)}"
