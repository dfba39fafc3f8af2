"""Backfills go on where they stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from eventpipe.errors import EventpipeError, UsageError
from eventpipe.ops.backfills import Backfills
from eventpipe.ops.lease import Fenced, acquire
from eventpipe.ops.store import OpsStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST, SECOND, THIRD = date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpsStore]:
    with OpsStore.open(tmp_path / "ops.db") as opened:
        yield opened


def backfills_of(store: OpsStore, run_id: str, *, at: datetime = NOON) -> Backfills:
    return Backfills(acquire(store, run_id, now=lambda: at, wait=timedelta(0)))


def test_a_backfill_is_resumed_by_a_later_run_with_what_remains(store: OpsStore) -> None:
    killed = backfills_of(store, "killed")
    begun = killed.open_or_resume(FIRST, THIRD, now=NOON)
    assert begun.remaining == [FIRST, SECOND, THIRD]
    killed.mark_done(begun.backfill_id, THIRD)
    assert killed.mark_done(begun.backfill_id, FIRST, THIRD).done == (FIRST, THIRD)

    later = NOON + HOUR
    next_run = backfills_of(store, "next", at=later)
    resumed = next_run.open_or_resume(FIRST, THIRD, now=later)
    assert (resumed.backfill_id, resumed.started_at) == (begun.backfill_id, NOON)
    assert resumed.remaining == [SECOND]
    next_run.mark_done(resumed.backfill_id, SECOND)
    assert next_run.finish(resumed.backfill_id, now=later).ended_at == later

    again = next_run.open_or_resume(FIRST, THIRD, now=later)
    assert again.backfill_id != begun.backfill_id
    assert again.remaining == [FIRST, SECOND, THIRD]


def test_another_range_or_restart_begins_anew(store: OpsStore) -> None:
    some = backfills_of(store, "r1")
    begun = some.open_or_resume(FIRST, SECOND, now=NOON)
    some.mark_done(begun.backfill_id, FIRST)
    assert some.open_or_resume(FIRST, THIRD, now=NOON).done == ()
    restarted = some.open_or_resume(FIRST, SECOND, now=NOON + HOUR, restart=True)
    assert (restarted.done, restarted.started_at) == ((), NOON + HOUR)
    assert some.open_or_resume(FIRST, SECOND, now=NOON).backfill_id == restarted.backfill_id


def test_one_day_is_a_range(store: OpsStore) -> None:
    assert backfills_of(store, "r1").open_or_resume(FIRST, FIRST, now=NOON).remaining == [FIRST]


def test_a_backfill_with_days_left_does_not_end(store: OpsStore) -> None:
    some = backfills_of(store, "r1")
    begun = some.open_or_resume(FIRST, THIRD, now=NOON)
    some.mark_done(begun.backfill_id, FIRST)
    with pytest.raises(EventpipeError, match="2 days remain, from 2026-01-31"):
        some.finish(begun.backfill_id, now=NOON)


def test_nonsense_is_refused(store: OpsStore) -> None:
    some = backfills_of(store, "r1")
    with pytest.raises(UsageError, match="has no day"):
        some.open_or_resume(THIRD, FIRST, now=NOON)
    begun = some.open_or_resume(FIRST, SECOND, now=NOON)
    with pytest.raises(EventpipeError, match="2026-02-01 is no day of the backfill 2026-01-30 to 2026-01-31"):
        some.mark_done(begun.backfill_id, THIRD)
    with pytest.raises(EventpipeError, match="no backfill unknown"):
        some.finish("unknown", now=NOON)


def test_a_run_that_lost_its_lease_marks_nothing(store: OpsStore) -> None:
    old = backfills_of(store, "old")
    begun = old.open_or_resume(FIRST, SECOND, now=NOON)
    new = backfills_of(store, "new", at=NOON + HOUR)
    with pytest.raises(Fenced):
        old.mark_done(begun.backfill_id, FIRST)
    assert new.open_or_resume(FIRST, SECOND, now=NOON).done == ()
