"""What a definition compares with: numbers, spans of time, days and instants, as types that read what YAML can say."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, PlainValidator, SkipValidation

from eventpipe.project.refusal import Refusal

Day: TypeAlias = date | datetime
"""A calendar date in the project's timezone, or an instant; one without an offset is in that timezone too."""

Scalar: TypeAlias = str | int | float | bool

T = TypeVar("T", Decimal, timedelta)

_SPAN: Final = re.compile(r"\s*([1-9][0-9]{0,5})\s*([hdw])\s*")
_HOURS: Final = {"h": 1, "d": 24, "w": 168}
_LONGEST: Final = timedelta(days=36_600)
_WHOLE_DIGITS: Final = 20
_PLACES: Final = 9


def number(written: object) -> Decimal:
    """A number with at most 20 digits before and 9 after the point, exactly as it is written."""
    if isinstance(written, bool) or not isinstance(written, int | float | Decimal):
        raise Refusal("a number (without quotes)")
    found = Decimal(str(written))
    if not found.is_finite() or abs(found) >= 10**_WHOLE_DIGITS or found != round(found, _PLACES):
        raise Refusal(f"a number of at most {_WHOLE_DIGITS} digits before and {_PLACES} after the point")
    return found


def span(written: object) -> timedelta:
    """`2h`, `30d` or `4w`: so many times 1, 24 or 168 hours, daylight saving or not."""
    match = _SPAN.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise Refusal("a span of time: write a whole number and h, d or w, like 30d")
    found = timedelta(hours=int(match[1]) * _HOURS[match[2]])
    if found > _LONGEST:
        raise Refusal("a span of time of at most a hundred years")
    return found


def day(written: object) -> Day:
    """`2026-01-31`, or an instant like `2026-01-31T18:00:00Z`."""
    text = written if isinstance(written, str) else ""
    try:
        found = date.fromisoformat(text) if len(text) == len("2026-01-31") else datetime.fromisoformat(text)
    except ValueError:
        raise Refusal("a date like 2026-01-31 or an instant like 2026-01-31T18:00:00Z") from None
    if not 1900 <= found.year <= 9000:
        raise Refusal("a date between the years 1900 and 9000")
    return found


def _pair(written: object, one: Callable[[object], T], kind: str) -> tuple[T, T]:
    expected = Refusal(f"a list of two {kind}, the lower one first")
    if not isinstance(written, list | tuple) or len(written) != 2:
        raise expected
    try:
        low, high = one(written[0]), one(written[1])
    except Refusal:
        raise expected from None
    if low > high:
        raise expected
    return low, high


def numbers(written: object) -> tuple[Decimal, Decimal]:
    """`[100, 200]`."""
    return _pair(written, number, "numbers")


def spans(written: object) -> tuple[timedelta, timedelta]:
    """`[30d, 60d]`."""
    return _pair(written, span, "spans of time")


def days(written: object) -> tuple[Day, Day]:
    """`[2026-01-01, 2026-01-31]`: two dates, or two instants that both have an offset or both have none."""
    if not isinstance(written, list | tuple) or len(written) != 2:
        raise Refusal("a list of two dates, the earlier one first")
    first, last = day(written[0]), day(written[1])
    if _kind(first) != _kind(last):
        raise Refusal("a list of two dates or of two instants, written alike")
    if first > last:
        raise Refusal("a list of two dates, the earlier one first")
    return first, last


def _kind(found: Day) -> tuple[bool, bool]:
    return isinstance(found, datetime), isinstance(found, datetime) and found.tzinfo is not None


def numbers_or_days(written: object) -> tuple[Decimal, Decimal] | tuple[Day, Day]:
    """Two numbers, which compare, or two dates, which say when."""
    if isinstance(written, list | tuple) and any(isinstance(each, str) for each in written):
        return days(written)
    if not isinstance(written, list | tuple) or len(written) != 2:
        raise Refusal("a list of two numbers or of two dates, the lower one first")
    return numbers(written)


def _scalar(written: Scalar) -> Scalar:
    if isinstance(written, str | bool):
        return written
    if isinstance(written, int | float):
        number(written)
        return written
    raise Refusal("text, a number, true or false")


def _some(written: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    if not written:
        raise Refusal("complete: list at least one value")
    return written


Number = Annotated[Decimal, PlainValidator(number)]
Numbers = Annotated[tuple[Decimal, Decimal], PlainValidator(numbers)]
Span = Annotated[timedelta, PlainValidator(span)]
DayOrInstant = Annotated[date | datetime, PlainValidator(day)]
NumbersOrDays = Annotated[tuple[Decimal, Decimal] | tuple[Day, Day], PlainValidator(numbers_or_days)]
Value = Annotated[Scalar, SkipValidation, AfterValidator(_scalar)]
Values = Annotated[tuple[Value, ...], AfterValidator(_some)]
