"""When an event counts: an interval of time whose edges are days of the project, or instants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlglot import exp

from eventpipe.segments.grammar import OfEvents
from eventpipe.segments.operands import Day


@dataclass(frozen=True)
class Window:
    """Instants from `start` (itself only where `with_start`) to before `end`; None is open. There are no events after
    as_of, so the end of `in_last` is open too."""

    start: datetime | None = None
    with_start: bool = True
    end: datetime | None = None

    def since(self) -> Window:
        """The same, without an end."""
        return Window(self.start, self.with_start)

    def or_earlier(self, other: Window) -> Window:
        """From the earlier of two starts, without an end."""
        starts = [each.start for each in (self, other) if each.start is not None]
        return Window(min(starts) if len(starts) == 2 else None)

    def holds(self, column: exp.Expr) -> Iterator[exp.Expr]:
        """What is true of an event's time inside."""
        if self.start is not None:
            kind = exp.GTE if self.with_start else exp.GT
            yield kind(this=column.copy(), expression=instant(self.start))
        if self.end is not None:
            yield exp.LT(this=column.copy(), expression=instant(self.end))


def window(condition: OfEvents, as_of: datetime, timezone: str) -> Window:
    """The interval that a condition's timeframe means at `as_of`; dates are calendar dates in `timezone`."""
    if condition.in_last is not None:
        return Window(as_of - condition.in_last, with_start=False)
    if condition.dates is not None:
        first, last = condition.dates
        return Window(start_of(first, timezone), end=_after(last, timezone))
    start = None if condition.after is None else start_of(condition.after, timezone)
    end = None if condition.before is None else start_of(condition.before, timezone)
    return Window(start, end=end)


def start_of(day: Day, timezone: str) -> datetime:
    """The first instant of a calendar date; where the clock leaps over midnight, that after the leap. Of two instants that
    one local time means, the later one, as the events' own are read."""
    zone = ZoneInfo(timezone)
    if isinstance(day, datetime):
        local = [day] if day.tzinfo else [day.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
        return max(each.astimezone(UTC) for each in local)
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _after(day: Day, timezone: str) -> datetime:
    """The first instant after a date or an instant that belongs to the interval."""
    if isinstance(day, datetime):
        return start_of(day, timezone) + timedelta(microseconds=1)
    return start_of(date.fromordinal(day.toordinal() + 1), timezone)


def instant(at: datetime) -> exp.Expr:
    """A literal."""
    return exp.cast(exp.Literal.string(at.astimezone(UTC).isoformat(sep=" ")), "timestamptz")
