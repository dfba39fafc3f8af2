"""When a delivery is tried again: the schedule of Standard Webhooks, ten attempts in about 75 hours, with jitter."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""After the first attempt, the second, and so on."""

ATTEMPTS: Final = len(PAUSES) + 1
_JITTER: Final = 0.1
_LONGEST_WISH: Final = timedelta(hours=24)
_FIRST_REST: Final = timedelta(minutes=1)
_LONGEST_REST: Final = timedelta(hours=1)
TROUBLE: Final = 5
"""So many failures of a target in a row, and it is left alone for a while."""


def next_attempt(attempts: int, now: datetime, wish: timedelta | None, chance: random.Random) -> datetime | None:
    """When to try again after so many attempts, None when it was the last: by the schedule, a tenth sooner or later, so that
    what failed together does not come back together, and not before the target wants to be asked again."""
    if attempts >= ATTEMPTS:
        return None
    return now + _longest(wish, PAUSES[attempts - 1] * (1 + chance.uniform(-_JITTER, _JITTER)))


def rest(failures: int, wish: timedelta | None) -> timedelta | None:
    """How long a target is left alone after so many failures in a row: a minute, doubling to an hour, and at least as long as
    it wants itself."""
    if failures < TROUBLE:
        return wish
    return _longest(wish, min(_FIRST_REST * 2 ** min(failures - TROUBLE, 10), _LONGEST_REST))


def _longest(wish: timedelta | None, pause: timedelta) -> timedelta:
    """A wish never shortens a pause: a target that asks for no time at all would have used up its attempts within minutes."""
    return pause if wish is None else max(wish, pause)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for, seconds or a date; None where it asks for nothing that can be understood."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), _LONGEST_WISH)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), _LONGEST_WISH)
