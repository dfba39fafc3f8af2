"""One run of the pipeline: its stages in order, under the lease, recorded in the ops store.

    land -> resolve -> identify -> model -> segment -> audit -> decide -> publish

Each stage reads what the one before it wrote. The Dagster assets and the tests call these methods; nothing here knows
Dagster. A run that stops anywhere leaves the published tables as they are, and the next run finishes the work; one
that ends well before the publish, because no more was asked of it, is recorded as `partial`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb

from eventpipe import __version__
from eventpipe.audit.audit import audit
from eventpipe.audit.findings import Finding
from eventpipe.audit.judge import Judge
from eventpipe.automations import history as decision_tables
from eventpipe.automations.decide import decide
from eventpipe.cluster.session import require, sweep
from eventpipe.engine import sweep as sweep_spilled
from eventpipe.errors import AuditHeld, EventpipeError, StageFailed
from eventpipe.failpoints import reach
from eventpipe.identity.resolve import Resolved, resolve
from eventpipe.identity.rules import Rules
from eventpipe.intake.exports import ALL_DATES, Selection
from eventpipe.intake.land import Landed, counted, land_exports
from eventpipe.ops import (
    automations,
    checks,
    contact_id_changes,
    definitions,
    erasures,
    holds,
    memberships,
    quiet,
    removals,
    runs,
)
from eventpipe.ops import lease as leases
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe.segments import history
from eventpipe.segments.judge import Judgement, judge
from eventpipe.serving.observed import id_changes, observed
from eventpipe.serving.postgres.server import Server
from eventpipe.serving.publish import (
    Assembled,
    Observed,
    Published,
    assembled,
    edition_of,
    finish_cut_publish,
    prepare,
)
from eventpipe.serving.unchanged import keep_run_ids
from eventpipe.warehouse import plan as plans
from eventpipe.warehouse.database import connect
from eventpipe.warehouse.dbt import Dbt, Node

if TYPE_CHECKING:
    from eventpipe.cluster.rebuild import Cluster
    from eventpipe.serving.postgres.upload import Uploaded, Uploader

LEASE_WAIT = timedelta(minutes=10)
_TOLD = 3


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked to do. `as_of` None is the time of the run; `again` judges landed exports anew;
    `fire` lets the past of automations fire too, which includes what a backfill takes in.
    """

    run_id: str
    kind: runs.RunKind = "run"
    as_of: datetime | None = None
    full_refresh: bool = False
    selection: Selection = ALL_DATES
    only_settled: bool = False
    again: bool = False
    fire: bool = False


class Refresh:
    """A run in progress; a context manager that holds the lease. `clock` gives aware UTC instants."""

    def __init__(
        self,
        project: Project,
        request: RunRequest,
        clock: Callable[[], datetime],
        *,
        lease_wait: timedelta = LEASE_WAIT,
        sleep: Callable[[float], None] = time.sleep,
        dbt: Dbt | None = None,
    ) -> None:
        self.project = project
        self.request = request
        self._clock = clock
        self._lease_wait = lease_wait
        self._sleep = sleep
        self._stack = ExitStack()
        self._stages: list[runs.Stage] = []
        self._counts = runs.Counts()
        self._dbt = dbt or Dbt(project)
        self._database: duckdb.DuckDBPyConnection | None = None
        self._cluster: Cluster | None = None
        self._of_rebuild = ExitStack()
        self._judge = Judge()
        self.nodes: dict[str, Node] = {}
        """What became of the models and tests that this run has run, by their dbt id."""
        self.findings: list[Finding] = []
        """What the audit of this run found."""

    def __enter__(self) -> Self:
        require(self.project)
        with ExitStack() as opening:
            self._store = opening.enter_context(OpsStore.open(self.project.ops))
            self._lease = leases.acquire(
                self._store, self.request.run_id, now=self._clock, wait=self._lease_wait, sleep=self._sleep
            )
            opening.callback(self._lease.release)
            opening.enter_context(self._lease.keep_alive())
            opening.enter_context(self._judge)
            opening.callback(self._close_database)
            opening.enter_context(self._of_rebuild)
            self.as_of = self.request.as_of or self._clock()
            if self.request.kind in ("run", "backfill"):
                with self._store.read() as ops:
                    removals.refuse_while_unfinished(ops)
            with self._lease.begin() as connection:
                self._run = runs.start(
                    connection,
                    self._lease,
                    kind=self.request.kind,
                    as_of=self.as_of,
                    full_refresh=self.request.full_refresh,
                    eventpipe_version=__version__,
                    now=self._clock(),
                )
            self._stack = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._run.status == "running":
                status: runs.RunStatus = "partial" if error is None else "failed"
                status = "held" if isinstance(error, AuditHeld) else status
                self._end(status, None if error is None else _paragraph(error))
        finally:
            self._stack.__exit__(kind, error, trace)

    @property
    def _lands_the_past(self) -> bool:
        """Whether what the run lands, or takes out, is no news: with `fire` too, which asks for the past anyway."""
        return self.request.again or self.request.kind != "run"

    @property
    def stages(self) -> tuple[runs.Stage, ...]:
        return tuple(self._stages)

    @property
    def counts(self) -> runs.Counts:
        return self._counts

    def land(self, on_landed: Callable[[Landed], None] = lambda _: None) -> list[Landed]:
        """Intake: new and changed exports into the lake."""
        with self._stage("land") as stage:
            landed = land_exports(
                self.project,
                self.request.selection,
                self._clock(),
                tombstones=erasures.tombstones_in(self._store),
                only_settled=self.request.only_settled,
                again=self.request.again,
                quieten=quiet.marker(self._lease, self._clock) if self._lands_the_past else None,
                on_landed=on_landed,
            )
            self._counts = counted(landed)
            stage.rows = self._counts.lines_accepted + self._counts.lines_rejected
        return landed

    def resolve(self) -> plans.Plan:
        """Plan what the run touches; which reports are one event, and which version of it counts."""
        sweep(self.project)
        sweep_spilled(self.project)
        with self._stage("resolve"), self.warehouse() as connection:
            plan = plans.make_plan(
                connection,
                self.project,
                run_id=self.request.run_id,
                as_of=self.as_of,
                full_refresh=self.request.full_refresh,
            )
            if self.project.audit.expectations and not plan.is_empty:
                self._judge.start()  # it gets ready while the engine works
            if plan.rebuild and self.project.settings.engine.spark:
                from eventpipe.cluster.rebuild import cluster  # late: few runs need a cluster

                self._cluster = self._of_rebuild.enter_context(
                    cluster(self.project, self.request.run_id, plan.new_files)
                )
            self._ran(self._modelled(connection, "tag:resolve"))
            # What was dropped makes room in the file for what the models write: a rebuild would double it.
            connection.execute("checkpoint")
            reach("resolve.done")
        return plan

    def identify(self) -> Resolved:
        """Which contact each touched identifier set belongs to."""
        with self._stage("identify") as stage, self.warehouse() as connection:
            resolved = resolve(connection, Rules.of(self.project), self.project.settings.engine.memory)
            stage.rows = resolved.identifiers
            reach("identify.done")
        return resolved

    def model(self) -> list[Node]:
        """The tables that people read, in the working database."""
        with self._stage("model"), self.warehouse() as connection:
            history.prepare(connection)
            decision_tables.prepare(connection)
            nodes = self._ran(self._modelled(connection, "tag:marts"))
            self._of_rebuild.close()
            reach("model.done")
            plans.remember(connection, self.project)
            reach("model.remembered")
        return nodes

    def _modelled(self, connection: duckdb.DuckDBPyConnection, select: str) -> list[Node]:
        """Run the selected models; in a rebuild, with what the cluster makes of them."""
        if self._cluster is None:
            return self._dbt.run(select)
        return self._dbt.run(select, made=self._cluster.make(connection, self._dbt.compiled(select)))

    def segment(self) -> Judgement:
        """Who is a member of which segment, in the working database."""
        with self._stage("segment") as stage, self.warehouse() as connection:
            judgement = judge(
                connection, self._store, self.project.segments, run_id=self.request.run_id, as_of=self.as_of
            )
            stage.rows = judgement.entered + judgement.left
            reach("segment.done")
        return judgement

    def audit(self) -> list[Finding]:
        """Judge what the run made, and record what was found. Errors: `AuditHeld` when a check of error severity fails."""
        with self._stage("audit") as stage:
            with self.warehouse() as connection:
                found = audit(
                    connection,
                    self.project,
                    self._judge.ask,
                    lambda: self._ran(self._dbt.run("*", command="test")),
                    as_of=self.as_of,
                    published=runs.published(self._store),
                )
            self.findings = list(found.findings)
            stage.rows = len(self.findings)
            with self._lease.begin() as connection_to_ops:
                now = self._clock()
                definitions.put_in_force(connection_to_ops, self._lease, self.project.registry.definitions, now=now)
                checks.record(connection_to_ops, self._lease, self.findings, now=now)
                holds.open_holds(connection_to_ops, self._lease, found.breaches, now=now)
        failed = [finding for finding in self.findings if finding.holds_back]
        if failed:
            told = "; ".join(f"{finding}: {finding.message or 'failed'}" for finding in failed[:_TOLD])
            more = f" And {len(failed) - _TOLD} more." if len(failed) > _TOLD else ""
            raise AuditHeld(
                f"The audit held the publish back. {told}.{more} The last good tables are still served. Correct the cause "
                "and run again; the tests' SQL lies in the project's folder .eventpipe/dbt/target/compiled."
            )
        return self.findings

    def decide(self, confirm: Callable[[int], bool] = lambda _: True) -> automations.Step | None:
        """Which automations fire for whom, in the ops store. Only what an audit has passed is remembered; should the
        publish not happen, the next run's tells of it. `confirm` is asked about the triggers of a run that lets the past
        fire; where it says no, nothing of the past does.
        """
        with self._stage("decide") as stage:
            with self.warehouse() as connection:
                changes = [*history.unrecorded(connection, self.request.run_id)]
                step = self._decisions(connection, self.request.fire)
                if self.request.fire and step is not None and not confirm(step.triggers.height):
                    step = self._decisions(connection, fire=False)
            reach("decide.judged")
            with self._lease.begin() as ops:
                before = automations.last_run(ops)
                memberships.record(ops, self._lease, changes, self._clock())
                if step is not None:
                    automations.record(ops, self._lease, step, now=self._clock())
            reach("decide.recorded")
            with self.warehouse() as connection, self._store.read() as ops:
                decision_tables.sync(connection, ops, before.run_id if before else None)
            stage.rows = step.triggers.height if step is not None else 0
        return step

    def _decisions(self, connection: duckdb.DuckDBPyConnection, fire: bool) -> automations.Step | None:
        judged = history.judged_run(connection)
        with self._store.read() as ops:
            return decide(
                connection,
                ops,
                self.project.automations,
                run_id=self.request.run_id,
                as_of=self.as_of,
                is_observed=judged is not None and judged.recorded,
                lands_the_past=self._lands_the_past,
                fire=fire,
            )

    def publish(self) -> Published:
        """Put the new tables in place of the published ones, and end the run."""
        started = time.monotonic()
        server = Server.of(self.project.settings.serving)
        with self.warehouse() as connection:
            if server is not None:
                keep_run_ids(connection, self.project.analytics)
            rows = prepare(connection)
        self._close_database()
        uploader = None if server is None else self._uploader(server)
        changed_ids: list[dict[str, str]] = []
        with assembled(self.project, rows, self.request.run_id, partial(self._observed, changed_ids)) as tables:
            uploaded = None if uploader is None else self._upload(uploader, tables)
            with self._lease.begin() as store:
                # The rename happens while the lease is known to be ours: a run that was replaced cannot publish.
                contact_id_changes.record(store, changed_ids)
                published = tables.put_in_place()
        if uploaded is not None:
            published = replace(published, removed=uploaded.removed, brought=uploaded.brought)
        self._stages.append(runs.Stage("publish", round(time.monotonic() - started, 3), sum(published.rows.values())))
        self._end("published", None)
        return published

    def _observed(
        self, changed_ids: list[dict[str, str]], tables: duckdb.DuckDBPyConnection, is_previous: bool
    ) -> list[Observed]:
        """What is published from the ops store; `changed_ids` are to be recorded with the publish."""
        workspace = self.project.settings.workspace
        ending = self._run.ended("published", now=self._clock(), stages=self._stages, counts=self._counts)
        told = runs.runs_frame(self._store, workspace_id=workspace, ending=ending)
        checked = checks.checks_frame(self._store, workspace_id=workspace)
        with self._store.read() as store:
            changed_ids += id_changes(tables, is_previous, store, self.request.run_id)
            return [
                *observed(store, changed_ids, told),
                Observed("checks", checked, "One row per run, check and subject of it.", checks.COMMENTS),
            ]

    def _uploader(self, server: Server) -> Uploader:
        """The way to the server, after what a run that was killed between its commit there and the rename here left."""
        from eventpipe.serving.postgres.upload import Uploader  # late: who serves from a file needs no driver

        spill = self.project.state / "publish.tmp"
        uploader = Uploader(server, self.project.settings.engine, spill, self._clock, self._sleep)
        served = uploader.served()
        if served is not None:
            with self._lease.begin():
                finish_cut_publish(self.project, served)
        return uploader

    def _upload(self, uploader: Uploader, tables: Assembled) -> Uploaded:
        from eventpipe.serving.postgres.upload import Base, Edition

        known = runs.known(self._store)
        edition = Edition(tables.path, self.request.run_id, self._lease.epoch, self.as_of, known)
        last = edition_of(self.project.analytics)
        base = None if last is None else Base(self.project.analytics, last)
        return uploader.upload(edition, base, partial(self._committing, tables))

    @contextmanager
    def _committing(self, tables: Assembled) -> Iterator[None]:
        """Around a server's commit: while the lease is ours; afterwards readers there see these tables."""
        with self._lease.begin():
            yield
            tables.keep()

    def everything(self) -> Published:
        """All stages, in order."""
        self.land()
        self.resolve()
        self.identify()
        self.model()
        self.segment()
        self.audit()
        self.decide()
        return self.publish()

    def _end(self, status: runs.RunStatus, error: str | None) -> None:
        assert status != "running"
        self._run = self._run.ended(status, now=self._clock(), stages=self._stages, counts=self._counts, error=error)
        with self._lease.begin() as connection:
            runs.finish(connection, self._lease, self._run)

    def _ran(self, nodes: list[Node]) -> list[Node]:
        self.nodes.update((node.unique_id, node) for node in nodes)
        return nodes

    @contextmanager
    def warehouse(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The working database, for the length of the block; its faults are raised as `StageFailed`.

        From the first block until the publish it stays open: what the engine has read once it need not read again.
        """
        if self._database is None:
            self._database = connect(self.project)
        try:
            with self._database.cursor() as connection:
                yield connection
        except duckdb.Error as error:
            raise StageFailed(
                f"The working database refused a step: {_paragraph(error)} The published tables are untouched; "
                "correct the cause and run again."
            ) from error

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _stage(self, name: str) -> Iterator[_Stage]:
        started = time.monotonic()
        stage = _Stage()
        try:
            yield stage
        finally:
            self._stages.append(runs.Stage(name, round(time.monotonic() - started, 3), stage.rows))


@dataclass
class _Stage:
    rows: int | None = None


def _paragraph(error: BaseException) -> str:
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, EventpipeError) else f"{type(error).__name__}: {text}"
