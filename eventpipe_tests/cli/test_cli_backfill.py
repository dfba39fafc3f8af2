"""The chunks of a backfill, stretches of days without a gap, and what it may go on from."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from eventpipe.cli.backfill import CHUNK_DAYS, _is_outdated, chunks
from eventpipe_tests import builders


def days(*numbers: int) -> list[date]:
    return [date(2026, 1, 1) + timedelta(days=number) for number in numbers]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), []),
        ((0,), [(0,)]),
        ((0, 1, 2, 3), [(0, 1, 2), (3,)]),
        ((0, 2, 3), [(0,), (2, 3)]),
        ((0, 1, 2, 4, 5, 6, 7), [(0, 1, 2), (4, 5, 6), (7,)]),
    ],
)
def test_days_are_cut_where_a_day_is_missing_or_a_chunk_is_full(
    given: tuple[int, ...], expected: list[tuple[int, ...]]
) -> None:
    assert list(chunks(days(*given), size=3)) == [tuple(days(*each)) for each in expected]


def test_days_that_other_definitions_judged_are_told(tmp_path: Path) -> None:
    """A backfill that was cut short does not go on from them."""
    made = builders.project(tmp_path)
    builders.export(made, [builders.event()])
    builders.land(made)
    landed = [builders.DAY]
    assert not _is_outdated(made, landed)
    changed = builders.project(tmp_path, events=[{"name": "page.viewed"}])
    assert _is_outdated(changed, landed)
    assert not _is_outdated(changed, [builders.DAY + timedelta(days=1)])


def test_a_year_is_cut_into_weeks() -> None:
    assert {len(chunk) for chunk in chunks(days(*range(364)))} == {CHUNK_DAYS}
