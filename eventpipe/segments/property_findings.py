"""What is wrong in the names of events and properties, and in the tests of properties and traits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from eventpipe.project.document import KeyPath
from eventpipe.project.refusal import LONGEST_GUESS, Finding, Refusal, hint
from eventpipe.segments.grammar import Operators, Where, operators_of
from eventpipe.segments.names import EVENT_FIELDS, Names
from eventpipe.segments.operands import day, number

MAX_VALUES: Final = 1_000
_CLOSE: Final = 0.85
"""How alike two names are that are one name misspelled: `order.completed` and `order.created` are not."""

_ORDERING: Final = ("gt", "gte", "lt", "lte", "between")


def event_name_findings(written: str, path: KeyPath, names: Names) -> Iterator[Finding]:
    """A name that nobody knows may be of an event that is still to come; one that is nearly a known one is not."""
    if written in names.events:
        return
    if guess := nearly(written, names.events):
        yield Finding(path, f"no definition and no event is called {written!r}; did you mean {guess!r}?")


def nearly(written: str, known: tuple[str, ...]) -> str | None:
    """The known name that a name is nearly, and so probably meant."""
    if len(written) > LONGEST_GUESS:
        return None
    spelled = {each.casefold(): each for each in known}
    word = written.strip().casefold()
    close = [each for each in spelled if _is_swapped(word, each)] or get_close_matches(
        word, spelled, n=1, cutoff=_CLOSE
    )
    return spelled[close[0]] if close else None


def _is_swapped(word: str, other: str) -> bool:
    """Whether two letters side by side are all that differs: of a short word that is much."""
    place = next((place for place, (one, two) in enumerate(zip(word, other, strict=False)) if one != two), len(word))
    return word != other and word == other[:place] + other[place : place + 2][::-1] + other[place + 2 :]


def where_findings(
    tests: Where, path: KeyPath, events: tuple[str, ...], names: Names, goal: str | None = None
) -> Iterator[Finding]:
    """What is wrong in the `where` of the condition at `path`, which is about these events, or goals of a type."""
    definitions = names.definitions(events, goal)
    known = tuple(sorted(names.properties(events, goal)))
    closed = bool(definitions) and all(each.unknown_properties == "reject" for each in definitions)
    for name, test in tests.items():
        where = (*path, "where", name)
        if name not in known and name not in EVENT_FIELDS:
            if closed:
                yield Finding(where, f"no definition has a property {name!r}{hint(name, (), known=known)}")
            elif guess := nearly(name, (*known, *EVENT_FIELDS)):
                yield Finding(where, f"no property is called {name!r}; did you mean {guess!r}?")
        yield from operator_findings(test, where)


def operator_findings(test: Any, path: KeyPath) -> Iterator[Finding]:
    """Values that an operator cannot take. In several, the comparison of an order is of one kind throughout."""
    for operator, value in operators_of(test):
        where = (*path, operator) if isinstance(test, Operators) else path
        if operator in _ORDERING:
            values = value if isinstance(value, tuple) else (value,)
            if operator == "between" and len(values) != 2:
                yield Finding(where, "is no list of two values, the lower one first")
                continue
            kinds = {order_kind(each) for each in values}
            if None in kinds or len(kinds) > 1:
                yield Finding(
                    where, "compares numbers with numbers or dates with dates: write a number or a date like 2026-01-31"
                )
            elif operator == "between" and _ordered(values[0]) > _ordered(values[1]):
                yield Finding(where, "is no list of two values, the lower one first")
        elif operator == "in" and len(value) > MAX_VALUES:
            yield Finding(where, f"lists more than {MAX_VALUES} values")
    if isinstance(test, Operators) and not list(test.tests()):
        yield Finding(path, f"needs an operator: one of {', '.join(_operator_names())}")


def order_kind(value: Any) -> str | None:
    """What a value is compared as: number, date, instant or local instant; None for what has no order."""
    if not isinstance(value, str):
        return None if isinstance(value, bool) else "number"
    if any(reading_findings(day, value, ())):
        return None
    moment = day(value)
    return "date" if not isinstance(moment, datetime) else "instant" if moment.tzinfo else "local instant"


def _ordered(value: Any) -> Any:
    return day(value) if isinstance(value, str) else number(value)


def _operator_names() -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in Operators.model_fields.items())


def reading_findings(read: Callable[[object], object], value: object, path: KeyPath) -> Iterator[Finding]:
    """That a value is not what `read` takes."""
    try:
        read(value)
    except Refusal as refusal:
        shown = f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else repr(value)
        yield Finding(path, f"{shown} is not {refusal.expected}")
