"""The runs of a project: started, ended, found dead, read back, published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from eventpipe.errors import EventpipeError
from eventpipe.ops import runs
from eventpipe.ops.lease import Fenced, Lease, acquire
from eventpipe.ops.runs import Counts, Run, Stage
from eventpipe.ops.store import OpsStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpsStore]:
    with OpsStore.open(tmp_path / "ops.db") as opened:
        yield opened


def lease_of(store: OpsStore, run_id: str, *, at: datetime = NOON) -> Lease:
    return acquire(store, run_id, now=lambda: at, wait=timedelta(0))


def started(lease: Lease, *, at: datetime = NOON) -> Run:
    with lease.begin() as connection:
        return runs.start(
            connection,
            lease,
            kind="run",
            as_of=at - MINUTE,
            full_refresh=False,
            eventpipe_version="1.2",
            now=at,
        )


def finished(lease: Lease, run: Run) -> None:
    with lease.begin() as connection:
        runs.finish(connection, lease, run)


def test_a_run_is_read_back_as_it_was_written(store: OpsStore) -> None:
    lease = lease_of(store, "r1")
    run = started(lease)
    assert runs.last(store) == run
    assert (run.run_id, run.status, run.ended_at) == ("r1", "running", None)

    ended = run.ended(
        "published",
        now=NOON + MINUTE,
        stages=[Stage("intake", 1.5, 100), Stage("publish", 0.25)],
        counts=Counts(exports_landed=2, lines_accepted=100, lines_rejected=3),
    )
    finished(lease, ended)
    assert runs.last(store) == ended


def test_an_error_is_one_short_paragraph(store: OpsStore) -> None:
    run = started(lease_of(store, "r1")).ended("failed", now=NOON, error="no\n  such\tmodel " * 1000)
    assert run.error is not None
    assert run.error.startswith("no such model no such model")
    assert len(run.error) == 2000


def test_a_run_that_was_killed_is_marked_failed_by_the_next(store: OpsStore) -> None:
    started(lease_of(store, "killed"))
    later = NOON + timedelta(hours=1)
    started(lease_of(store, "next", at=later), at=later)

    newest, dead = runs.recent(store, 5)
    assert (newest.run_id, newest.status) == ("next", "running")
    assert (dead.run_id, dead.status, dead.ended_at) == ("killed", "failed", later)
    assert dead.error is not None
    assert "Run next found it so" in dead.error


def test_a_run_that_lost_its_lease_records_nothing(store: OpsStore) -> None:
    old = lease_of(store, "old")
    run = started(old)
    later = NOON + timedelta(hours=1)
    started(lease_of(store, "new", at=later), at=later)

    with pytest.raises(Fenced), store.begin() as connection:
        runs.finish(connection, old, run.ended("published", now=later))
    with pytest.raises(Fenced), store.begin() as connection:
        runs.start(connection, old, kind="run", as_of=NOON, full_refresh=False, eventpipe_version="1.2", now=NOON)
    assert [(found.run_id, found.status) for found in runs.recent(store, 5)] == [
        ("new", "running"),
        ("old", "failed"),
    ]


def test_a_run_id_is_used_once(store: OpsStore) -> None:
    lease = lease_of(store, "r1")
    finished(lease, started(lease).ended("held", now=NOON, error="volume"))
    with pytest.raises(EventpipeError, match="Run r1 is on record already, as held"):
        started(lease)


def test_recent_and_last_are_newest_first_and_by_status(store: OpsStore) -> None:
    assert runs.last(store) is None
    for number, status in enumerate(["published", "failed", "published", "held"]):
        at = NOON + number * MINUTE
        lease = lease_of(store, f"r{number}", at=at)
        finished(lease, started(lease, at=at).ended(status, now=at))  # type: ignore[arg-type]  # a list of str
        lease.release()
    assert [run.run_id for run in runs.recent(store, 3)] == ["r3", "r2", "r1"]
    assert [run.run_id for run in runs.recent(store, 9, status="published")] == ["r2", "r0"]
    last = runs.last(store, status="published")
    assert last is not None
    assert last.as_of == NOON + MINUTE


def test_the_published_table_has_the_documented_columns(store: OpsStore) -> None:
    empty = runs.runs_frame(store)
    assert empty.columns == [column.name for column in runs.PUBLISHED_COLUMNS]
    assert empty.height == 0

    lease = lease_of(store, "r1")
    finished(lease, started(lease).ended("failed", now=NOON, error="no disk"))
    lease.release()
    lease = lease_of(store, "r2", at=NOON + MINUTE)
    run = started(lease, at=NOON + MINUTE)
    counts = Counts(1, 2, 3, 4, 5, 6)
    ending = run.ended("published", now=NOON + 2 * MINUTE, stages=[Stage("model", 2.0, 7)], counts=counts)
    frame = runs.runs_frame(store, workspace_id="shop", ending=ending)

    assert frame.schema == empty.schema
    assert frame.schema["run_started_at"] == pl.Datetime("us", "UTC")
    assert frame["run_status"].to_list() == ["failed", "published"]
    row = frame.row(1, named=True)
    assert row["workspace_id"] == "shop"
    assert row["run_ended_at"] == NOON + 2 * MINUTE
    assert [row[f"exports_{kind}"] for kind in ("landed", "unchanged", "refused")] == [1, 2, 3]
    assert [row[f"lines_{kind}"] for kind in ("accepted", "rejected", "blank")] == [4, 5, 6]
    assert json.loads(row["run_stages"]) == [{"name": "model", "seconds": 2.0, "rows": 7}]
    last = runs.last(store)
    assert last is not None
    assert last.status == "running"  # the frame shows the end, the store does not know it yet


def test_columns_with_ids_and_clocks_are_named_so() -> None:
    clock = {column.name for column in runs.PUBLISHED_COLUMNS if column.type == "timestamp"}
    assert clock == {"run_started_at", "run_ended_at", "as_of"}
