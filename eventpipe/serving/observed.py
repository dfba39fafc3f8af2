"""The published tables that tell what happened, from the ops store: runs, changes of contact ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import polars as pl
from sqlalchemy import Connection

from eventpipe.identity.changes import changes_sql
from eventpipe.ops import contact_id_changes, runs
from eventpipe.serving.publish import PREVIOUS, Observed
from eventpipe.sql import literals


def id_changes(
    tables: duckdb.DuckDBPyConnection, is_previous: bool, store: Connection, run_id: str
) -> list[dict[str, str]]:
    """What is to be recorded when this run has published: the contact ids that it changes for readers, after what an
    earlier run published and could not record any more.
    """
    if not is_previous:
        return []
    return [*_unrecorded(tables, contact_id_changes.recorded_runs(store)), *_changed(tables, run_id)]


def observed(store: Connection, changes: Sequence[Mapping[str, str]], runs_told: pl.DataFrame) -> list[Observed]:
    """Those tables as this run publishes them; `changes` are not recorded yet."""
    return [
        Observed(
            "runs",
            runs_told,
            "One row per run of the pipeline.",
            {column.name: column.description for column in runs.PUBLISHED_COLUMNS},
        ),
        Observed(
            "contact_id_changes",
            contact_id_changes.changes_frame(store, changes),
            contact_id_changes.DESCRIPTION,
            contact_id_changes.COLUMNS,
        ),
    ]


def _unrecorded(tables: duckdb.DuckDBPyConnection, recorded: set[str]) -> list[dict[str, str]]:
    if not _has(tables, "contact_id_changes"):
        return []
    columns = ", ".join(contact_id_changes.COLUMNS)
    found = tables.execute(
        f"select {columns} from {PREVIOUS}.main.contact_id_changes"
        f" where run_id not in ({literals(recorded) or 'null'}) or {not recorded}"
    )
    return [dict(zip(contact_id_changes.COLUMNS, row, strict=True)) for row in found.fetchall()]


def _changed(tables: duckdb.DuckDBPyConnection, run_id: str) -> list[dict[str, str]]:
    if not _has(tables, "contact_aliases") or not _has(tables, "contacts"):
        return []  # another version of eventpipe published it
    # Whoever could change was solved by a run that the published file does not know.
    since = f"after.run_id not in (select run_id from {PREVIOUS}.main.runs)"
    found = tables.execute(changes_sql(f"{PREVIOUS}.main", "main", since))
    names = ("workspace_id", "change", "from_contact_id", "into_contact_id")
    return [{"run_id": run_id} | dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _has(tables: duckdb.DuckDBPyConnection, name: str) -> bool:
    found = tables.execute(
        "select count(*) from information_schema.tables"
        f" where table_catalog = '{PREVIOUS}' and table_schema = 'main' and table_name = $1",
        [name],
    ).fetchone()
    return found is not None and bool(found[0])
