"""The volume watch: quiet histories raise no alarm, broken ones do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from eventpipe.audit.volume import Verdict, Watched, complete_through, watch
from eventpipe.project.audit_rules import Incident, VolumeRules
from eventpipe_tests.audit.histories import DAYS, LAST, counted, history

SEEDS = range(100)
SHOPS = {
    "large": (400.0, 0.01, 0.06),
    "growing": (400.0, 0.05, 0.06),
    "steady": (5000.0, 0.0, 0.0),
    "small": (12.0, 0.01, 0.06),
    "tiny": (4.0, 0.01, 0.06),
}
"""Orders a day, growth per week, and how much better or worse a day is than it should be."""

Counts = list[int]


def watched(series: dict[str, Counts], **rules: object) -> Watched:
    return watch(counted(series), {"web": LAST}, VolumeRules(**rules))  # type: ignore[arg-type]  # passed on


def alarmed(series: dict[str, Counts], what: str, **rules: object) -> set[str]:
    return {each.event_name for each in watched(series, **rules).verdicts if each.what == what}


def hundred(shop: str, broken: Callable[[Counts], Counts] = lambda counts: counts) -> dict[str, Counts]:
    level, growth, noise = SHOPS[shop]
    return {str(seed): broken(history(seed, level=level, growth=growth, noise=noise)) for seed in SEEDS}


def last_days(factor: float, days: int = 1) -> Callable[[Counts], Counts]:
    return lambda counts: counts[:-days] + [round(count * factor) for count in counts[-days:]]


@pytest.mark.parametrize("shop", SHOPS)
def test_quiet_seeds_raise_no_alarm(shop: str) -> None:
    series = hundred(shop)
    assert len(alarmed(series, "drop") | alarmed(series, "spike")) <= 5


@pytest.mark.parametrize(
    ("shop", "factor", "days", "what"),
    [
        ("large", 0.0, 1, "drop"),
        ("large", 0.6, 1, "drop"),
        ("large", 3.0, 1, "spike"),
        ("growing", 0.0, 1, "drop"),
        ("growing", 0.6, 1, "drop"),
        ("growing", 3.0, 1, "spike"),
        ("steady", 0.6, 1, "drop"),
        ("small", 0.0, 2, "drop"),
        ("small", 5.0, 1, "spike"),
        ("tiny", 0.0, 7, "drop"),
        ("tiny", 8.0, 3, "spike"),
    ],
)
def test_broken_seeds_raise_an_alarm(shop: str, factor: float, days: int, what: str) -> None:
    found = alarmed(hundred(shop, last_days(factor, days)), what, days=max(days, 3))
    assert len(found) >= 95


def test_the_judged_day_is_not_in_its_own_baseline() -> None:
    counts = history(1, level=400)
    expected = {
        verdict.expected
        for last in (0, 1, 50, 2000, 100_000)
        for verdict in watched({"a": [*counts[:-1], last]}).verdicts
        if verdict.day == LAST
    }
    assert len(expected) == 1


def test_seven_weeks_are_enough_and_six_are_not() -> None:
    for weeks, judged in ((7, True), (6, False)):
        counts = history(3, level=400, days=weeks * 7 + 1)
        seen = watched({"a": last_days(0.5)(counts), "b": history(4, level=400)})
        assert any(each.event_name == "a" for each in seen.verdicts) is judged
        assert seen.young == (not judged)


def test_a_young_event_is_watched_for_silence() -> None:
    counts = history(5, level=400, days=12)
    assert alarmed({"a": [*counts, 0]}, "drop") == {"a"}
    assert alarmed({"a": [*counts, 100]}, "drop") == set()


def test_a_missing_day_counts_as_none() -> None:
    counts = history(6, level=400)
    assert counted({"a": [*counts[:-1], 0]}).height == DAYS - 1
    [verdict] = watched({"a": [*counts[:-1], 0]}).verdicts
    assert (verdict.count, verdict.what, verdict.change) == (0, "drop", -1.0)


def test_an_incident_is_left_out_of_what_later_days_are_compared_with() -> None:
    counts = history(7, level=400, noise=0.02)
    broken = counts[:-30] + [count // 10 for count in counts[-30:-20]] + counts[-20:]
    assert alarmed({"a": broken}, "spike") == set()
    [plain], [after] = (
        [each for each in watched({"a": [*every[:-1], 0]}).verdicts if each.day == LAST] for every in (counts, broken)
    )
    assert plain.expected is not None
    assert after.expected == pytest.approx(plain.expected, rel=0.1)


def test_a_known_incident_is_not_judged() -> None:
    series = {"a": last_days(0.1)(history(8, level=400))}
    for incident, drops in (
        (Incident(first=LAST, last=LAST), set()),
        (Incident(first=LAST, last=LAST, event="a", source="web"), set()),
        (Incident(first=LAST, last=LAST, event="b"), {"a"}),
        (Incident(first=LAST, last=LAST, source="crm"), {"a"}),
        (Incident(first=date(2026, 1, 1), last=LAST - timedelta(days=1)), set()),
    ):
        assert alarmed(series, "drop", incidents=(incident,)) == drops


def test_a_change_that_stays_becomes_what_is_expected() -> None:
    counts = history(9, level=400)
    lower = counts[:-70] + [count // 3 for count in counts[-70:]]
    assert alarmed({"a": lower}, "drop") == set()
    assert alarmed({"a": last_days(0.3)(lower)}, "drop") == {"a"}


def test_a_new_event_is_told_and_not_judged() -> None:
    seen = watched({"old": history(10, level=400), "new": [50, 60]})
    assert [(each.event_name, each.what, each.day) for each in seen.verdicts] == [
        ("new", "new", LAST - timedelta(days=1))
    ]


def test_days_after_the_last_complete_one_are_not_looked_at() -> None:
    counts = history(11, level=400)
    tables = counted({"a": last_days(0.0)(counts)})
    assert watch(tables, {"web": LAST - timedelta(days=1)}, VolumeRules()).verdicts == ()
    assert watch(tables, {}, VolumeRules()) == Watched((), 0, 0, 0)


def test_sources_are_judged_apart() -> None:
    tables = pl.concat(
        [counted({"a": history(12, level=400)}), counted({"a": last_days(0.0)(history(13, level=400))}, "crm")]
    )
    verdicts = watch(tables, {"web": LAST, "crm": LAST}, VolumeRules()).verdicts
    assert [(each.source, each.what) for each in verdicts] == [("crm", "drop")]


def test_verdicts_do_not_depend_on_the_order_of_the_rows() -> None:
    tables = counted({str(seed): last_days(0.4)(history(seed, level=100)) for seed in range(8)})
    shuffled = tables.sample(fraction=1, shuffle=True, seed=1)
    assert watch(shuffled, {"web": LAST}, VolumeRules()) == watch(tables, {"web": LAST}, VolumeRules())


@pytest.mark.parametrize(
    ("as_of", "landed", "on_time", "next_day", "through"),
    [
        ("2026-01-10T12:00", "2026-01-09", 0.98, 1.0, "2026-01-09"),  # lands on its own day
        ("2026-01-10T12:00", "2026-01-10", 0.98, 1.0, "2026-01-09"),  # today is not over
        ("2026-01-10T12:00", "2026-01-10", 0.30, 0.99, "2026-01-09"),  # lands in the night after
        ("2026-01-10T12:00", "2026-01-09", 0.30, 0.99, "2026-01-08"),  # ... and has not landed yet
        ("2026-01-10T12:00", "2026-01-10", 0.10, 0.50, "2026-01-08"),  # lands late
        ("2026-01-10T00:00", "2026-01-20", 0.98, 1.0, "2026-01-09"),  # as of an earlier instant
    ],
)
def test_a_day_is_complete_when_it_is_over_and_has_landed(
    as_of: str, landed: str, on_time: float, next_day: float, through: str
) -> None:
    instant = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    assert complete_through(instant, date.fromisoformat(landed), on_time, next_day) == date.fromisoformat(through)


def test_a_verdict_says_how_much_it_differs() -> None:
    assert Verdict("web", "a", LAST, 60, 100.0, -5.0, "drop").change == -0.4
    assert Verdict("web", "a", LAST, 60, None, None, "new").change is None
