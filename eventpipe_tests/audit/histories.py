"""Made-up counts of one event per day, as shops have them: weeks, growth, holidays, chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl

LAST = date(2026, 6, 30)
"""The last complete day of every history."""

DAYS = 150
HOLIDAYS = {40: 0.3, 41: 0.4, 90: 2.5, 133: 0.5}
"""Days of a history that are unlike others, with how much of their count they have."""

_WEEK = np.array([1.0, 1.05, 1.1, 1.0, 0.95, 0.5, 0.45])


def history(seed: int, *, level: float, growth: float = 0.01, noise: float = 0.06, days: int = DAYS) -> list[int]:
    """Counts with a weekly season, growth per week, days that are better or worse, and Poisson's chance."""
    return list(_history(seed, level, growth, noise, days))


@cache
def _history(seed: int, level: float, growth: float, noise: float, days: int) -> tuple[int, ...]:
    random = np.random.default_rng(seed)
    counts = []
    for place in range(days):
        day = LAST - timedelta(days=days - 1 - place)
        expected = level * _WEEK[day.weekday()] * (1 + growth) ** (place / 7) * np.exp(random.normal(0, noise))
        counts.append(int(random.poisson(expected * HOLIDAYS.get(place, 1.0))))
    return tuple(counts)


def counted(series: Mapping[str, Sequence[int]], source: str = "web") -> pl.DataFrame:
    """The series of events as the watch takes them; all end on LAST. A day without events has no row."""
    rows = [
        (source, name, LAST - timedelta(days=len(counts) - 1 - place), count)
        for name, counts in series.items()
        for place, count in enumerate(counts)
        if count
    ]
    return pl.DataFrame(rows, schema=["source", "event_name", "day", "count"], orient="row")
