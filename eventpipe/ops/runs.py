"""The runs of a project: what each one did, how long it took, and how it ended.

Writing takes the caller's transaction and the run's lease; reading takes the store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from eventpipe.errors import EventpipeError
from eventpipe.ops import tables
from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore

if TYPE_CHECKING:
    import polars as pl

RunKind = Literal["run", "backfill", "prune", "erase"]
RunStatus = Literal["running", "published", "partial", "failed", "held"]
_LONGEST_ERROR = 2000  # characters


@dataclass(frozen=True)
class Stage:
    """One stage of a run: its wall time and the rows it wrote (None where rows say nothing)."""

    name: str
    seconds: float
    rows: int | None = None


@dataclass(frozen=True)
class Counts:
    """What a run's intake did: exports by outcome, and the lines of the landed ones."""

    exports_landed: int = 0
    exports_unchanged: int = 0
    exports_refused: int = 0
    lines_accepted: int = 0
    lines_rejected: int = 0
    lines_blank: int = 0


@dataclass(frozen=True)
class Run:
    """One run. `held`: the audit kept the publish back. `partial`: it was asked for some stages only and
    published nothing. `error` is one paragraph for a person.
    """

    run_id: str
    kind: RunKind
    started_at: datetime
    as_of: datetime
    full_refresh: bool
    eventpipe_version: str
    status: RunStatus = "running"
    ended_at: datetime | None = None
    stages: tuple[Stage, ...] = ()
    counts: Counts = field(default_factory=Counts)
    error: str | None = None

    def ended(
        self,
        status: Literal["published", "partial", "failed", "held"],
        *,
        now: datetime,
        stages: Sequence[Stage] = (),
        counts: Counts | None = None,
        error: str | None = None,
    ) -> Run:
        """The run, ended. `error` must hold no personal data; it is cut to one short paragraph."""
        paragraph = None if error is None else " ".join(error.split())[:_LONGEST_ERROR]
        return replace(
            self,
            status=status,
            ended_at=now,
            stages=tuple(stages),
            counts=counts or self.counts,
            error=paragraph,
        )


def start(
    connection: Connection,
    lease: Lease,
    *,
    kind: RunKind,
    as_of: datetime,
    full_refresh: bool,
    eventpipe_version: str,
    now: datetime,
) -> Run:
    """Records the run that holds `lease` as running.

    Any other run still marked running was killed, for this one has the lease: it is marked failed. Raises
    Fenced, and EventpipeError when a run of this id is on record.
    """
    lease.check(connection)
    _fail_abandoned(connection, lease.holder, now)
    known = connection.execute(select(tables.runs.c.status).where(tables.runs.c.run_id == lease.holder)).scalar()
    if known is not None:
        raise EventpipeError(f"Run {lease.holder} is on record already, as {known}: start again under a new run id.")
    run = Run(
        run_id=lease.holder,
        kind=kind,
        started_at=now,
        as_of=as_of,
        full_refresh=full_refresh,
        eventpipe_version=eventpipe_version,
    )
    connection.execute(insert(tables.runs).values(asdict(run)))
    return run


def finish(connection: Connection, lease: Lease, run: Run) -> None:
    """Records how a run ended: `run` is what `Run.ended` returned. Raises Fenced."""
    lease.check(connection)
    connection.execute(update(tables.runs).where(tables.runs.c.run_id == run.run_id).values(asdict(run)))


def last(store: OpsStore, *, status: RunStatus | None = None) -> Run | None:
    """The run that started last, of those with `status` if given; None when there is none."""
    return next(iter(recent(store, 1, status=status)), None)


def find(store: OpsStore, run_id: str) -> Run | None:
    """The run with this id; None when there is no record of it."""
    with store.read() as connection:
        row = connection.execute(select(tables.runs).where(tables.runs.c.run_id == run_id)).one_or_none()
    return None if row is None else _run(row)


def recent(store: OpsStore, limit: int, *, status: RunStatus | None = None) -> list[Run]:
    """The `limit` runs that started last, newest first."""
    query = select(tables.runs).order_by(tables.runs.c.started_at.desc(), tables.runs.c.run_id).limit(limit)
    if status is not None:
        query = query.where(tables.runs.c.status == status)
    with store.read() as connection:
        return [_run(row) for row in connection.execute(query)]


def published(store: OpsStore) -> set[str]:
    """The ids of all runs that were published."""
    with store.read() as connection:
        return set(
            connection.execute(select(tables.runs.c.run_id).where(tables.runs.c.status == "published")).scalars()
        )


def known(store: OpsStore) -> set[str]:
    """The ids of all runs on record."""
    with store.read() as connection:
        return set(connection.execute(select(tables.runs.c.run_id)).scalars())


@dataclass(frozen=True)
class PublishedColumn:
    """A column of the published table; `timestamp` is UTC in microseconds, `json` is text."""

    name: str
    type: Literal["text", "timestamp", "bigint", "boolean", "json"]
    description: str


# The published table `runs`, one row per run. Names that begin with run_ carry run ids and
# wall-clock times.
PUBLISHED_COLUMNS = (
    PublishedColumn("workspace_id", "text", "Workspace of the project."),
    PublishedColumn("run_id", "text", "Key: the id of the run."),
    PublishedColumn("run_kind", "text", "run, backfill, prune or erase."),
    PublishedColumn(
        "run_status",
        "text",
        "running, published, partial (asked for some stages only), failed, or held (by the audit).",
    ),
    PublishedColumn("run_started_at", "timestamp", "When it got the lease and began (UTC)."),
    PublishedColumn(
        "run_ended_at", "timestamp", "When it ended, or was found dead by the next run (UTC); null: running."
    ),
    PublishedColumn("as_of", "timestamp", "The instant its tables were computed for (UTC)."),
    PublishedColumn("full_refresh", "boolean", "Whether everything was rebuilt."),
    PublishedColumn("exports_landed", "bigint", "Export files landed, new or changed."),
    PublishedColumn(
        "exports_unchanged",
        "bigint",
        "Export files seen again with the same content, or still being written.",
    ),
    PublishedColumn("exports_refused", "bigint", "Export files refused whole."),
    PublishedColumn("lines_accepted", "bigint", "Accepted lines in the landed files."),
    PublishedColumn("lines_rejected", "bigint", "Rejected lines in the landed files."),
    PublishedColumn("lines_blank", "bigint", "Blank lines in the landed files."),
    PublishedColumn("run_stages", "json", "Stages in order, a list of {name, seconds (wall time), rows (written)}."),
    PublishedColumn("error", "text", "Why it failed or was held, one paragraph; null when published."),
    PublishedColumn("eventpipe_version", "text", "Version of eventpipe that ran."),
)

COMMENTS = {column.name: column.description for column in PUBLISHED_COLUMNS}


def runs_frame(store: OpsStore, *, workspace_id: str = "default", ending: Run | None = None) -> pl.DataFrame:
    """The published table `runs`, one row per run, oldest first, with the columns of `PUBLISHED_COLUMNS`.

    `ending` stands in for its own row: a run that publishes this table is shown as it will be once it has
    published.
    """
    import polars as pl  # late: `eventpipe status` and the sensors read runs without it

    types = {
        "text": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        "bigint": pl.Int64(),
        "boolean": pl.Boolean(),
        "json": pl.String(),
    }
    with store.read() as connection:
        stored = {row.run_id: _run(row) for row in connection.execute(select(tables.runs))}
    if ending is not None:
        stored[ending.run_id] = ending
    ordered = sorted(stored.values(), key=lambda run: (run.started_at, run.run_id))
    return pl.DataFrame(
        [_published(run, workspace_id) for run in ordered],
        schema={column.name: types[column.type] for column in PUBLISHED_COLUMNS},
        orient="row",
    )


def _published(run: Run, workspace_id: str) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id,
        "run_id": run.run_id,
        "run_kind": run.kind,
        "run_status": run.status,
        "run_started_at": run.started_at,
        "run_ended_at": run.ended_at,
        "as_of": run.as_of,
        "full_refresh": run.full_refresh,
        **asdict(run.counts),
        "run_stages": json.dumps([asdict(stage) for stage in run.stages]),
        "error": run.error,
        "eventpipe_version": run.eventpipe_version,
    }


def _fail_abandoned(connection: Connection, by: str, now: datetime) -> None:
    connection.execute(
        update(tables.runs)
        .where(tables.runs.c.status == "running", tables.runs.c.run_id != by)
        .values(
            status="failed",
            ended_at=now,
            error=f"The run ended without a word: killed, or its machine lost. Run {by} found it so.",
        )
    )


def _run(row: Row[Any]) -> Run:
    values = dict(row._mapping)
    values["stages"] = tuple(Stage(**stage) for stage in row.stages)
    values["counts"] = Counts(**row.counts)
    return Run(**values)
