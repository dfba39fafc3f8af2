"""Opening the working database (DuckDB) with the project's caps, reaching the project's folders and nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb

from eventpipe.engine import limits
from eventpipe.errors import StageFailed
from eventpipe.intake.lake import reachable
from eventpipe.project.folder import Project
from eventpipe.sql import literal


def connect(project: Project) -> duckdb.DuckDBPyConnection:
    """The one instance of this process. dbt, run in the same process, shares it, settings included.

    Errors: `StageFailed` when another process holds the file or the file is damaged.
    """
    project.state.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(project.warehouse))
    except duckdb.Error as error:
        raise StageFailed(_why(project.warehouse, error)) from error
    settings = {
        "TimeZone": "UTC",
        "preserve_insertion_order": False,
        # What a run changes is written into the file when the run says so, not with every model that is done.
        "checkpoint_threshold": "1GB",
        **limits(project.settings.engine, project.state / "warehouse.tmp"),
    }
    for name, value in settings.items():
        connection.execute(f"set global {name} = {literal(str(value))}")
    if connection.execute("select current_setting('enable_external_access')").fetchone() == (True,):
        folders = (project.lake, project.state, project.warehouse.parent, project.analytics.parent)
        connection.execute(f"set global allowed_directories = {reachable(folders)}")
        connection.execute("set global enable_external_access = false")
    return connection


def _why(path: Path, error: duckdb.Error) -> str:
    text = str(error).splitlines()[0]
    if "lock" in text.lower():
        return (
            f"The working database {path} is open in another process. Only the pipeline opens it: close the other "
            "program, or query analytics.duckdb instead."
        )
    return (
        f"The working database {path} cannot be opened ({text[:200]}). It can be rebuilt from the lake: "
        "delete it and run again."
    )
