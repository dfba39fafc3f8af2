"""The checks of each run's audit, as they came out then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, insert, select

from eventpipe.audit.findings import Finding
from eventpipe.ops import tables
from eventpipe.ops.lease import Lease
from eventpipe.ops.runs import PublishedColumn
from eventpipe.ops.store import OpsStore

if TYPE_CHECKING:
    import polars as pl

KEPT_RUNS: Final = 200
"""Runs whose checks are kept: at one a day more than half a year, at one an hour more than a week."""


def record(connection: Connection, lease: Lease, findings: Sequence[Finding], *, now: datetime) -> None:
    """Stores the findings of the run that holds `lease`, in place of earlier ones of it. Raises Fenced."""
    lease.check(connection)
    connection.execute(delete(tables.checks).where(tables.checks.c.run_id == lease.holder))
    if findings:
        connection.execute(insert(tables.checks), [_row(finding, lease.holder, now) for finding in findings])
    kept = select(tables.runs.c.run_id).order_by(tables.runs.c.started_at.desc()).limit(KEPT_RUNS)
    connection.execute(delete(tables.checks).where(tables.checks.c.run_id.not_in(kept.scalar_subquery())))


def of_run(store: OpsStore, run_id: str) -> list[Finding]:
    """The findings of a run, in the order of their names; none where it did not come to its audit."""
    query = (
        select(tables.checks)
        .where(tables.checks.c.run_id == run_id)
        .order_by(tables.checks.c.check_name, tables.checks.c.subject)
    )
    with store.read() as connection:
        return [
            Finding(
                check=row.check_name,
                kind=row.kind,
                asset=row.asset,
                subject=row.subject,
                severity=row.severity,
                status=row.status,
                observed=row.observed,
                failing=tuple(row.failing),
                message=row.message,
            )
            for row in connection.execute(query)
        ]


def of_last_audit(store: OpsStore) -> list[Finding]:
    """The findings of the run that was audited last, whatever became of runs after it."""
    query = select(tables.checks.c.run_id).order_by(tables.checks.c.checked_at.desc()).limit(1)
    with store.read() as connection:
        run_id = connection.execute(query).scalar()
    return [] if run_id is None else of_run(store, run_id)


PUBLISHED_COLUMNS = (
    PublishedColumn("workspace_id", "text", "Workspace of the project."),
    PublishedColumn("run_id", "text", "The run whose audit it was; key with check_name and subject."),
    PublishedColumn("check_name", "text", "Name of the check."),
    PublishedColumn("check_kind", "text", "dbt, expectation, volume, freshness, drift, orders or identity."),
    PublishedColumn("asset", "text", "Table that the check is about."),
    PublishedColumn("subject", "text", "Part of it: a column, an event, a source; else the table."),
    PublishedColumn("severity", "text", "error (holds the publish back) or warn."),
    PublishedColumn("status", "text", "passed, failed, or skipped where there was nothing to judge."),
    PublishedColumn("observed", "json", "The numbers that the check saw."),
    PublishedColumn("failing_rows", "json", "A few rows that failed it, a list of objects, without personal data."),
    PublishedColumn("message", "text", "What is wrong and what to do; null when it passed."),
    PublishedColumn("run_checked_at", "timestamp", "When it was checked (UTC)."),
)
"""The published table `checks`, one row per run, check and subject."""
COMMENTS = {column.name: column.description for column in PUBLISHED_COLUMNS}


def checks_frame(store: OpsStore, *, workspace_id: str) -> pl.DataFrame:
    """The published table `checks`, oldest run first, with the columns of `PUBLISHED_COLUMNS`."""
    import polars as pl  # late, as in `runs`

    query = select(tables.checks).order_by(
        tables.checks.c.checked_at, tables.checks.c.run_id, tables.checks.c.check_name, tables.checks.c.subject
    )
    with store.read() as connection:
        rows = [
            (
                workspace_id,
                row.run_id,
                row.check_name,
                row.kind,
                row.asset,
                row.subject,
                row.severity,
                row.status,
                json.dumps(row.observed, ensure_ascii=False),
                json.dumps(row.failing, ensure_ascii=False),
                row.message,
                row.checked_at,
            )
            for row in connection.execute(query)
        ]
    types = {"timestamp": pl.Datetime("us", "UTC")}
    schema = {column.name: types.get(column.type, pl.String()) for column in PUBLISHED_COLUMNS}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _row(finding: Finding, run_id: str, now: datetime) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "check_name": finding.check,
        "kind": finding.kind,
        "asset": finding.asset,
        "subject": finding.subject,
        "severity": finding.severity,
        "status": finding.status,
        "observed": dict(finding.observed),
        "failing": [dict(row) for row in finding.failing],
        "message": finding.message,
        "checked_at": now,
    }
