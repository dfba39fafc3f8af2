"""Who tells what, when it lands, and how often: lateness, retries and bad lines are decided here.

A landing is one record of one export file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from eventpipe.sample.mistakes import Mishaps, Mistake
from eventpipe.sample.population import Shopper
from eventpipe.sample.report import Basket, Event, Report, Version, Who

DAY = 86400
_LATE = 0.03
_REPEATED = 0.03
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Landing(NamedTuple):
    """A record and its place: day of the window, second of that day, and a number that settles ties."""

    day: int
    second: int
    number: int
    report: Report
    mistake: Mistake | None
    is_repeat: bool


@dataclass(frozen=True)
class Window:
    """The landing dates: `days` of them from `start`, in UTC."""

    start: date
    days: int

    @property
    def opens_at(self) -> int:
        """The first second of the first day, in epoch seconds."""
        return int(datetime.combine(self.start, time.min, UTC).timestamp())

    def date_of(self, day: int) -> date:
        return self.start + timedelta(days=day)


class Teller:
    """Collects the landings of one visit and of all that follows from it."""

    def __init__(self, rng: Random, sources: tuple[str, ...], window: Window) -> None:
        self._rng = rng
        self._mishaps = Mishaps(sources)
        self._opens_at = window.opens_at
        self._days = window.days
        self._landings: list[Landing] = []
        self._number = 0

    def tell(
        self,
        source: str,
        form: str,
        event: Event,
        shopper: Shopper,
        who: Who,
        at: int,
        *,
        key: str | None = None,
        basket: Basket | None = None,
        plan: str | None = None,
        version: Version = Version.FIRST,
        versioned: bool = False,
        deleted_at: int | None = None,
        not_before: int = 0,
        punctual: bool = False,
    ) -> int | None:
        """Reports it, and returns the day on which the report lands; None when the window is over by then.

        `key` is made up here for the tools whose unique ids mean nothing. `not_before` is the earliest
        landing day; a `punctual` report is neither late, nor repeated, nor spoilt.
        """
        rng = self._rng
        report = Report(
            source=source,
            form=form,
            event=event,
            who=who,
            shopper=shopper,
            at=at,
            key=key if key is not None else self._key(source, form, at),
            variant=rng.getrandbits(48),
            basket=basket,
            plan=plan,
            version=version,
            versioned=versioned,
            deleted_at=deleted_at,
        )
        day, second = divmod(at - self._opens_at, DAY)
        if day < not_before:
            day, second = not_before, int(rng.random() * DAY)
        chance = rng.random()
        late = not punctual and chance < _LATE
        if late:
            day += 1 + int(rng.random() * 3)
        if not 0 <= day < self._days:
            return None
        if not punctual and not late:
            mistake = self._mishaps.befall(report)
            if mistake is not None:
                self._land(day, second, report, mistake)
        self._land(day, second, report)
        if not punctual and report.key is not None and chance > 1 - _REPEATED:
            again = day + int(rng.random() * 3)
            if again < self._days:
                self._land(again, second if again == day else int(rng.random() * DAY), report, is_repeat=True)
        return day

    def collect(self) -> list[Landing]:
        """All landings since the last time, in the order in which they land."""
        landings, self._landings = self._landings, []
        landings.sort(key=_place)
        return landings

    def _land(
        self, day: int, second: int, report: Report, mistake: Mistake | None = None, is_repeat: bool = False
    ) -> None:
        self._landings.append(Landing(day, second, self._number, report, mistake, is_repeat))
        self._number += 1

    def _key(self, source: str, form: str, at: int) -> str | None:
        bits = self._rng.getrandbits(80)
        if source == "customerio":
            return f"msg-{bits:020x}" if form == "pipelines" else _ulid(at * 1000, bits)
        return f"evt-{bits:020x}" if source == "redo" and form != "v0" else None


def _place(landing: Landing) -> tuple[int, int, int]:
    return landing[:3]


def _ulid(milliseconds: int, bits: int) -> str:
    """A ULID: 48 bits of time and 80 random ones in Crockford's base 32."""
    number = milliseconds << 80 | bits
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
