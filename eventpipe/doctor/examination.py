"""The examination: everything that is compared is taken at one moment, while no run writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from eventpipe.doctor.accounted import accounted
from eventpipe.doctor.findings import Check, Promise
from eventpipe.doctor.same_answer import (
    Fingerprint,
    configuration_of,
    copy_lake,
    rebuild,
    same_answer,
)
from eventpipe.doctor.served import served, unreachable
from eventpipe.doctor.whole import whole
from eventpipe.engine import closed_off, spill_folder
from eventpipe.errors import EventpipeError
from eventpipe.intake.lake import Lake, Manifest
from eventpipe.ops import lease as leases
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe.refresh import LEASE_WAIT
from eventpipe.serving.file import as_of_published, open_published
from eventpipe.serving.reading import reading
from eventpipe.serving.unpublished import unpublished

_ALL = 1_000_000


def examine(project: Project, clock: Callable[[], datetime], *, run_id: str) -> list[Promise]:
    """Checks promises 1 to 3 of the README and changes nothing. `run_id` names the examination where it holds the
    lease.

    Raises UsageError when nothing is published yet, LeaseHeld when a run does not end in time, StageFailed
    when the rebuild stops.
    """
    lake = Lake(project.lake)
    open_published(project).close()  # else there is nothing to examine: said before anything is made
    with ExitStack() as opened:
        scratch = opened.enter_context(_scratch(project))
        with OpsStore.open(project.ops) as store, _nobody_writing(store, run_id, clock):
            # This moment's file: a run that publishes later does not change what this connection reads.
            published = opened.enter_context(open_published(project))
            manifests = list(lake.manifests())
            copy_lake(project.lake, scratch / "lake")
            with _working(project) as working:
                third = whole(published, working, runs.recent(store, _ALL), *_elsewhere(project, published))
                configuration = None if working is None else _configuration(working)
        first = accounted(project, published, Lake(scratch / "lake"), manifests)
        second = _why_not(published, manifests)
        if second is None:
            rebuilt = rebuild(project, scratch, as_of_published(published), clock, run_id)
            with _read_only(rebuilt) as tables:
                second = same_answer(published, tables, configuration)
    return [first, second, third]


def _elsewhere(project: Project, published: duckdb.DuckDBPyConnection) -> Iterator[Check]:
    """What the server holds, where one serves."""
    if project.settings.serving.url is None:
        return
    try:
        with reading(project) as store:
            yield served(published, store)
    except EventpipeError as error:
        yield unreachable(error)


def _why_not(published: duckdb.DuckDBPyConnection, manifests: list[Manifest]) -> Promise | None:
    """Why promise 2 cannot be checked now, as its result; None when it can."""
    behind = unpublished(published, manifests)
    if not behind:
        return None
    detail = f"The lake changed after the last publish ({behind} exports). Start `eventpipe run`, ask again."
    check = Check("rebuilt tables = published tables", "unchecked", {"exports": behind}, detail)
    return Promise(2, "Same answer", (check,))


@contextmanager
def _scratch(project: Project) -> Iterator[Path]:
    """A folder of this process beside the project's own state; what killed examinations left is removed."""
    for left in project.state.glob("doctor-*"):
        if not _is_alive(left.name.rpartition("-")[2]):
            shutil.rmtree(left, ignore_errors=True)
    folder = project.state / f"doctor-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


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
    settings = closed_off(project.settings.engine, spill_folder(project, "warehouse"))
    connection = duckdb.connect(str(project.warehouse), read_only=True, config=settings)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _configuration(working: duckdb.DuckDBPyConnection) -> dict[str, Fingerprint] | None:
    try:
        return configuration_of(working)
    except duckdb.CatalogException:  # a run that stopped half way took them out
        return None
