"""The examination: everything that is compared is taken at one moment, while no run writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb

from eventpipe.client import open_published
from eventpipe.doctor.accounted import accounted
from eventpipe.doctor.findings import Check, Promise
from eventpipe.doctor.same_answer import Fingerprint, configuration_of, copy_lake, rebuild, same_answer
from eventpipe.doctor.whole import whole
from eventpipe.intake.lake import Lake, Manifest
from eventpipe.ops import lease as leases
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe.refresh import LEASE_WAIT


def examine(project: Project, clock: Callable[[], datetime], *, run_id: str) -> list[Promise]:
    """Checks promises 1 to 3 of spec 5 and changes nothing. `run_id` names the examination where it holds the
    lease.

    Raises UsageError when nothing is published yet, LeaseHeld when a run does not end in time, StageFailed
    when the rebuild stops.
    """
    scratch = project.state / "doctor"
    shutil.rmtree(scratch, ignore_errors=True)
    lake = Lake(project.lake)
    with open_published(project):
        pass  # else there is nothing to examine: say so before anything is made
    try:
        with OpsStore.open(project.ops) as store, _nobody_writing(store, run_id, clock):
            published = open_published(project)
            manifests = list(lake.manifests())
            copy_lake(project.lake, scratch / "lake")
            with _working(project) as working:
                third = whole(published, working, runs.recent(store, 1_000_000))
                configuration = None if working is None else _configuration(working)
        with published:
            first = accounted(published, Lake(scratch / "lake"), manifests)
            second = _same_answer(project, published, manifests, configuration, clock, run_id)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return [first, second, third]


def _same_answer(
    project: Project,
    published: duckdb.DuckDBPyConnection,
    manifests: list[Manifest],
    configuration: dict[str, Fingerprint] | None,
    clock: Callable[[], datetime],
    run_id: str,
) -> Promise:
    unpublished = _unpublished(published, manifests)
    if unpublished:
        detail = (
            f"The lake has changed since the last publish ({unpublished} exports). Run `eventpipe run`, then "
            "ask again."
        )
        return Promise(
            2,
            "Same answer",
            (Check("rebuilt tables = published tables", "unchecked", {"exports": unpublished}, detail),),
        )
    as_of = published.execute(
        "select as_of from runs where run_status = 'published' order by run_started_at desc, run_id limit 1"
    ).fetchone()
    assert as_of is not None
    rebuilt = rebuild(project, project.state / "doctor", as_of[0], clock, run_id)
    with _read_only(rebuilt) as tables:
        return same_answer(published, tables, configuration)


def _unpublished(published: duckdb.DuckDBPyConnection, manifests: list[Manifest]) -> int:
    """How many exports the lake and the published ledger tell differently."""
    ledger = set(
        published.execute("select source, landed_on, file, sha256, status, loaded_at from ledger").fetchall()
    )
    lake = {
        (each.source, each.landed_on, each.file, each.sha256, each.status, each.loaded_at)
        for each in manifests
    }
    return len({row[:3] for row in ledger ^ lake})


@contextmanager
def _nobody_writing(store: OpsStore, holder: str, clock: Callable[[], datetime]) -> Iterator[None]:
    lease = leases.acquire(store, holder, now=clock, wait=LEASE_WAIT)
    try:
        with lease.keep_alive():
            yield
    finally:
        lease.release()


@contextmanager
def _working(project: Project) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """The working database, read-only; None when it is gone, damaged or open elsewhere."""
    try:
        connection = _read_only(project)
    except duckdb.Error:
        yield None
        return
    with connection:
        yield connection


def _read_only(project: Project) -> duckdb.DuckDBPyConnection:
    engine = project.settings.engine
    settings = {
        "enable_external_access": "false",
        "memory_limit": engine.memory,
        "python_enable_replacements": "false",
    }
    connection = duckdb.connect(str(project.warehouse), read_only=True, config=dict(settings))
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _configuration(working: duckdb.DuckDBPyConnection) -> dict[str, Fingerprint] | None:
    try:
        return configuration_of(working)
    except duckdb.CatalogException:  # a run that stopped half way took them out
        return None
