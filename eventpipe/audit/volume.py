"""The volume watch: is a day's count of an event like its past?

Pure: counts in, verdicts out. Every series (an event of a source) is walked day by day, and a day is compared only with
days before it. A day that broke with its past is an incident: it is judged, and left out of what later days are compared
with. After `NEW_LEVEL` incidents in a row the change is the new normal, and the past begins there.

Large counts: in logarithms, the median of the same weekday over `WEEKS` weeks, carried forward by the robust trend of the
weekly levels (Theil-Sen), and as spread the median absolute deviation (MAD) from that fit over all days, never below what
chance alone gives a count (Poisson).
Small counts: the count of 1, 3 and 7 days against those of the same weekdays, by the predictive distribution of a Poisson
count whose mean is known from so many periods only (negative binomial, Jeffreys' prior).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from eventpipe.project.audit_rules import Incident, VolumeRules

WEEKS: Final = 10
"""Weeks that a day is compared with; of them at least `PERIODS` must be complete and without incident."""
PERIODS: Final = 7
NEW_LEVEL: Final = 14
SMALL: Final = 30.0
"""Expected counts below it are judged as small ones."""

_DAYS: Final = 7 * WEEKS
_WINDOWS: Final = (1, 3, 7)
_TO_SIGMA: Final = 1.4826  # of a normal distribution's MAD
_FIT_ERROR: Final = 1.15  # a forecast from ten weeks errs too: its spread over that of the days
_LEAST_SPREAD: Final = 0.02
_STEEPEST: Final = 0.15  # per week, in logarithms
_SURELY_ALIVE: Final = (
    15  # on each of the last seven days: that none comes by chance is less likely than one in a million
)

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
What = Literal["drop", "spike", "new"]


@dataclass(frozen=True)
class Verdict:
    """A day on which an event's count is unlike its past (`drop`, `spike`), or an event that was never seen before
    (`new`). `expected` is None where there is no past to expect from; `score` in robust standard deviations.
    """

    source: str
    event_name: str
    day: date
    count: int
    expected: float | None
    score: float | None
    what: What

    @property
    def change(self) -> float | None:
        """Of the expected count: -0.4 is 40 % less."""
        return None if not self.expected else round(self.count / self.expected - 1, 3)


@dataclass(frozen=True)
class Watched:
    """What the watch saw: the verdicts, and how many series and days it judged; a young series has too short a past."""

    verdicts: tuple[Verdict, ...]
    series: int
    young: int
    days: int


def complete_through(as_of: datetime, last_landed_on: date, on_time: float, next_day: float) -> date:
    """The last day of which a source's events are all there: over at `as_of`, and as late as the source usually lands.

    `on_time` and `next_day` are the shares of its reports that landed by the end of their day, and of the next one.
    """
    usual_delay = 0 if on_time >= 0.9 else 1 if next_day >= 0.9 else 2
    return min(as_of.date() - timedelta(days=1), last_landed_on - timedelta(days=usual_delay))


def watch(counts: pl.DataFrame, through: Mapping[str, date], rules: VolumeRules) -> Watched:
    """Judge the last `rules.days` complete days of every series.

    `counts` has one row per source, event_name and day with a `count`; a day without a row counts 0 from the series'
    first day on. `through` is the last complete day of each source: later ones are not looked at.
    """
    verdicts: list[Verdict] = []
    series = young = days = 0
    for (source,), of_source in counts.sort("event_name", "day").group_by("source", maintain_order=True):
        last = through.get(str(source))
        if last is None:
            continue
        found = _Series.of(str(source), of_source.filter(pl.col("day") <= last), last, rules)
        if found is None:
            continue
        verdicts += found.walk()
        series += len(found.names)
        young += found.young
        days += min(rules.days, found.values.shape[1])
    return Watched(
        tuple(sorted(verdicts, key=lambda each: (each.day, each.source, each.event_name))), series, young, days
    )


class _Series:
    """The series of one source: a matrix of counts by event and day, the last day last."""

    def __init__(
        self,
        source: str,
        names: list[str],
        values: Matrix,
        began: npt.NDArray[np.int64],
        last: date,
        rules: VolumeRules,
    ) -> None:
        self.source = source
        self.names = names
        self.values = values
        self.began = began
        self.young = 0
        self._last = last
        self._rules = rules
        self._length = values.shape[1]
        self._left_out = self._known_incidents()

    @classmethod
    def of(cls, source: str, counts: pl.DataFrame, last: date, rules: VolumeRules) -> _Series | None:
        """The days that matter: what is judged, the weeks before, and again the weeks that those are compared with."""
        length = rules.days + 2 * _DAYS
        first = last - timedelta(days=length - 1)
        if counts.is_empty():
            return None
        names = counts["event_name"].unique(maintain_order=True).to_list()
        rows = {name: row for row, name in enumerate(names)}
        values = np.zeros((len(names), length))
        began = np.full(len(names), length, dtype=np.int64)
        for name, day, count in counts.select("event_name", "day", "count").iter_rows():
            row, place = rows[name], (day - first).days
            began[row] = min(began[row], place)
            if place >= 0:
                values[row, place] = count
        return cls(source, names, values, began, last, rules)

    def walk(self) -> Iterator[Verdict]:
        """The verdicts on the days to judge, after walking what comes before them."""
        unlike = np.zeros_like(self._left_out)
        for place in range(_DAYS, self._length):
            expected, score, small = self._judged(place)
            count = self.values[:, place]
            change = np.abs(count / np.maximum(expected, 1e-9) - 1)
            breaks = (np.abs(score) >= self._rules.sensitivity) & (small | (change >= self._rules.min_change))
            breaks |= self._went_silent(place)
            breaks &= ~self._left_out[:, place]
            unlike[:, place] = breaks
            self._left_out[:, place] |= breaks
            self._begin_anew(unlike, place)
            if place >= self._length - self._rules.days:
                yield from self._told(place, breaks, expected, score)
        self.young = int(np.isnan(expected).sum())

    def _judged(self, place: int) -> tuple[Matrix, Matrix, Flags]:
        """Expected count and score of each series on one day, NaN where its past is too short; which are small."""
        window = slice(place - _DAYS, place)
        days = np.arange(place - _DAYS, place)
        usable = ~self._left_out[:, window] & (days >= self.began[:, None])
        past = np.where(usable, self.values[:, window], np.nan).reshape(-1, WEEKS, 7)
        periods = np.isfinite(past[:, :, 0]).sum(axis=1)
        enough = periods >= PERIODS
        expected, score = np.full(len(self.names), np.nan), np.zeros(len(self.names))
        if not enough.any():
            return expected, score, np.zeros(len(self.names), dtype=bool)
        mean = np.nanmean(np.where(enough[:, None], past[:, :, 0], 0.0), axis=1)
        small = enough & (mean < SMALL)
        large = enough & ~small
        expected[small] = mean[small]
        if large.any():
            expected[large], score[large] = _large(past[large], self.values[large, place])
        if small.any():
            score[small] = self._small(small, place)
        return expected, score, small

    def _small(self, rows: Flags, place: int) -> Matrix:
        """The most extreme score of the windows that end on this day; only sound days make a longer window."""
        length = _DAYS + 7
        days = np.arange(place + 1 - length, place + 1)
        sound = ~self._left_out[rows][:, days] & (days >= self.began[rows][:, None])
        counts = self.values[rows][:, days]
        score = np.zeros(len(counts))
        for width in _WINDOWS:
            # By weeks backwards: (series, window), the judged one first.
            ends = length - 7 * np.arange(WEEKS + 1)
            sums = _sums(counts, ends, width)
            whole = _sums(~sound, ends, width) == 0
            # The judged day itself is sound as long as nobody said otherwise, and the days beside it must be.
            earlier = sound[:, length - width : length - 1].all(axis=1)
            periods = whole[:, 1:].sum(axis=1)
            total = (sums * whole)[:, 1:].sum(axis=1)
            found = _poisson_scores(sums[:, 0], total, np.maximum(periods, 1))
            usable = earlier & (periods >= PERIODS) & (np.abs(found) > np.abs(score))
            score = np.where(usable, found, score)
        return score

    def _went_silent(self, place: int) -> Flags:
        """Series without a week of weeks yet that were alive on each of the last seven days, and now are not."""
        before = slice(place - 7, place)
        whole = (self.began <= place - 7) & ~self._left_out[:, before].any(axis=1)
        silent: Flags = (self.values[:, place] == 0) & (self.values[:, before].min(axis=1) >= _SURELY_ALIVE)
        return whole & silent

    def _begin_anew(self, unlike: Flags, place: int) -> None:
        """What has been unlike its past for `NEW_LEVEL` days on end is what to expect from now on."""
        if place - _DAYS < NEW_LEVEL - 1:
            return
        run = slice(place - NEW_LEVEL + 1, place + 1)
        for row in np.flatnonzero(unlike[:, run].all(axis=1)):
            self.began[row] = run.start
            self._left_out[row, run] = False
            unlike[row, run] = False

    def _told(self, place: int, breaks: Flags, expected: Matrix, score: Matrix) -> Iterator[Verdict]:
        source_began = int(self.began.min())
        for row, name in enumerate(self.names):
            is_new = self.began[row] == place and source_began <= place - 7
            if not (breaks[row] or is_new):
                continue
            known = bool(np.isfinite(expected[row]))
            count = int(self.values[row, place])
            what: What = "new" if not breaks[row] else "spike" if score[row] > 0 else "drop"
            yield Verdict(
                self.source,
                name,
                self._last - timedelta(days=self._length - 1 - place),
                count,
                round(float(expected[row]), 1) if known else None,
                round(float(score[row]), 1) if known else None,
                what,
            )

    def _known_incidents(self) -> Flags:
        found = np.zeros(self.values.shape, dtype=bool)
        first = self._last - timedelta(days=self._length - 1)
        for incident in self._rules.incidents:
            if incident.source not in (None, self.source):
                continue
            rows = _rows_of(incident, self.names)
            begin, end = (incident.first - first).days, (incident.last - first).days + 1
            found[rows, max(begin, 0) : max(end, 0)] = True
        return found


def _rows_of(incident: Incident, names: Iterable[str]) -> list[int]:
    return [row for row, name in enumerate(names) if incident.event in (None, name)]


def _large(past: Matrix, counts: Matrix) -> tuple[Matrix, Matrix]:
    """Expected counts and scores from `past` (series, week, weekday), whose first weekday is the judged one."""
    logs = np.log(np.maximum(past, 0.5))
    weekdays = _nanmedian(logs, axis=1)
    levels = logs - weekdays[:, None, :]
    weekly = _nanmedian(levels, axis=2)
    slope = np.clip(_theil_sen(weekly), -_STEEPEST, _STEEPEST)
    weeks = np.arange(WEEKS, dtype=np.float64)
    middle = _nanmedian(np.where(np.isfinite(past[:, :, 0]), weeks, np.nan), axis=1)
    forecast = weekdays[:, 0] + slope * (WEEKS - middle)
    rest = (levels - slope[:, None, None] * (weeks[None, :, None] - middle[:, None, None])).reshape(len(past), -1)
    mad = _nanmedian(np.abs(rest - _nanmedian(rest, axis=1)[:, None]), axis=1) * _TO_SIGMA
    expected = np.exp(forecast)
    spread = np.maximum(np.maximum(mad, 1 / np.sqrt(expected)), _LEAST_SPREAD) * _FIT_ERROR
    return expected, (np.log(np.maximum(counts, 0.5)) - forecast) / spread


def _theil_sen(weekly: Matrix) -> Matrix:
    """The median slope between any two weeks; 0 where there are not two."""
    first, second = np.triu_indices(WEEKS, k=1)
    slopes = (weekly[:, second] - weekly[:, first]) / (second - first)
    return np.nan_to_num(_nanmedian(slopes, axis=1))


def _sums(values: npt.NDArray[Any], ends: npt.NDArray[np.int64], width: int) -> Matrix:
    """Of each row, the sums of `width` values before each of the places `ends`."""
    running = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    sums: Matrix = running[:, ends] - running[:, ends - width]
    return sums


def _poisson_scores(counts: Matrix, totals: Matrix, periods: Matrix) -> Matrix:
    """How unlikely `counts` are after `totals` in so many periods, in standard deviations of a normal distribution."""
    from scipy.special import betainc, ndtri  # late: a project needs a past of weeks before it needs these

    shape, chance = totals + 0.5, periods / (periods + 1)
    below = betainc(shape, counts + 1, chance)
    above = np.where(counts > 0, betainc(np.maximum(counts, 1), shape, 1 - chance), 1.0)
    tail = np.clip(np.minimum(below, above), 1e-30, 0.5)
    scores: Matrix = np.where(below < above, 1.0, -1.0) * ndtri(tail)
    return scores


def _nanmedian(values: Matrix, axis: int) -> Matrix:
    """The median without NaN; NaN where there is nothing else. numpy's own works row by row in Python."""
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, -1)  # NaN comes last
    found = np.isfinite(ordered).sum(axis=-1)
    places = np.stack([np.maximum(found - 1, 0) // 2, np.minimum(found // 2, ordered.shape[-1] - 1)], axis=-1)
    median: Matrix = np.take_along_axis(ordered, places, axis=-1).mean(axis=-1)
    return median
