"""What is wrong in a definition beyond the types of its values: keys that do not go together, names that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import chain
from typing import Any, Final

from eventpipe.project.document import KeyPath
from eventpipe.project.refusal import LONGEST_GUESS, Finding, Refusal, hint
from eventpipe.segments.grammar import (
    COMPARISONS,
    MONEY,
    All,
    AnyOf,
    ContactCondition,
    EventCondition,
    GoalCondition,
    Node,
    Not,
    OfEvents,
    Operators,
    RfmCondition,
    SegmentCondition,
    Where,
    operators_of,
)
from eventpipe.segments.names import (
    AGE,
    EVENT_FIELDS,
    IS_ANONYMOUS,
    NUMBER_FIELDS,
    RFM_NUMBERS,
    RFM_SCORE,
    RFM_SEGMENT,
    TRAIT_PREFIX,
    Names,
)
from eventpipe.segments.operands import day, number, span

MAX_DEPTH: Final = 10
MAX_CONDITIONS: Final = 100
MAX_VALUES: Final = 1_000
_CLOSE: Final = 0.85
"""How alike two names are that are one name misspelled: `order.completed` and `order.created` are not."""

_ORDERING: Final = ("gt", "gte", "lt", "lte", "between")
_TEXT_ONLY: Final = ("contains", "starts_with")


@dataclass(frozen=True)
class Scope:
    """What a definition can refer to: names, and the segments that exist."""

    names: Names
    segments: frozenset[str]


def condition_findings(node: Node, path: KeyPath, scope: Scope) -> Iterator[Finding]:
    """Everything wrong in the tree at `path`."""
    for count, (each, where, depth) in enumerate(_walk(node, path, 1), start=1):
        if depth > MAX_DEPTH:
            yield Finding(
                where, f"is nested deeper than {MAX_DEPTH} conditions: make a segment of its own of the inner part"
            )
            return
        if count > MAX_CONDITIONS:
            yield Finding(path, f"has more than {MAX_CONDITIONS} conditions: make segments of parts of it")
            return
        yield from _of(each, where, scope)


def _walk(node: Node, path: KeyPath, depth: int) -> Iterator[tuple[Node, KeyPath, int]]:
    yield node, path, depth
    if isinstance(node, All):
        for place, each in enumerate(node.all):
            yield from _walk(each, (*path, "all", place), depth + 1)
    elif isinstance(node, AnyOf):
        for place, each in enumerate(node.any):
            yield from _walk(each, (*path, "any", place), depth + 1)
    elif isinstance(node, Not):
        yield from _walk(node.not_, (*path, "not"), depth + 1)


def _of(node: Node, path: KeyPath, scope: Scope) -> Iterator[Finding]:
    if isinstance(node, GoalCondition):
        yield from _goal(node, path, scope.names)
    elif isinstance(node, EventCondition):
        yield from _event(node, path, scope.names)
    elif isinstance(node, ContactCondition):
        yield from _contact(node, path, scope.names)
    elif isinstance(node, RfmCondition):
        yield from _rfm(node, path, scope.names)
    elif isinstance(node, SegmentCondition):
        yield from segment_findings(node.segment, (*path, "segment"), scope)


def segment_findings(written: str, path: KeyPath, scope: Scope) -> Iterator[Finding]:
    """That a segment of a name does not exist."""
    if written not in scope.segments:
        yield Finding(path, f"{written!r} is no segment{hint(written, (), known=tuple(sorted(scope.segments)))}")


def _goal(node: GoalCondition, path: KeyPath, names: Names) -> Iterator[Finding]:
    yield from _times(node, path)
    if node.aggregate in MONEY and not list(node.bounds()):
        yield Finding(path, f"an aggregate {node.aggregate} needs a comparison: one of {', '.join(COMPARISONS)}")
    events = () if node.event is None else (node.event,)
    if node.event is not None:
        yield from event_name_findings(node.event, (*path, "event"), names)
    yield from where_findings(node.where, path, events, names, node.goal)


def _event(node: EventCondition, path: KeyPath, names: Names) -> Iterator[Finding]:
    yield from _times(node, path)
    if node.event is not None and node.any_event is not None:
        yield Finding(path, "names events twice: keep one of event and any_event")
    if node.event is not None:
        yield from event_name_findings(node.event, (*path, "event"), names)
    for place, each in enumerate(node.any_event or ()):
        yield from event_name_findings(each, (*path, "any_event", place), names)
    if node.count is not None and list(node.bounds()):
        yield Finding((*path, "count"), "compares twice: write the comparisons here or beside the event, not both")
    if node.count is not None and not list(node.count.bounds()):
        yield Finding((*path, "count"), f"needs a comparison: one of {', '.join(COMPARISONS)}")
    if node.without is not None:
        yield from event_name_findings(node.without.event, (*path, "without", "event"), names)
        if (node.without.after is None) == (node.without.before is None):
            yield Finding((*path, "without"), "needs one of `after: it` and `before: it`")
    yield from where_findings(node.where, path, node.names, names)


def _times(node: OfEvents, path: KeyPath) -> Iterator[Finding]:
    given = [
        name
        for name, value in (
            ("in_last", node.in_last),
            ("between", node.dates),
            ("before and after", node.before or node.after),
        )
        if value
    ]
    if len(given) > 1:
        yield Finding(path, f"says when in more than one way: keep one of {', '.join(given)}")
    if node.first and node.last:
        yield Finding(path, "is about the first and the last event at once: keep one, or write two conditions")


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
    close = get_close_matches(written.strip().casefold(), spelled, n=1, cutoff=_CLOSE)
    return spelled[close[0]] if close else None


def where_findings(
    tests: Where, path: KeyPath, events: tuple[str, ...], names: Names, goal: str | None = None
) -> Iterator[Finding]:
    """What is wrong in the `where` of the condition at `path`, which is about these events, or goals of a type."""
    definitions = names.definitions(events, goal)
    declared = {spelling for each in definitions for one in each.properties for spelling in (one.name, *one.aliases)}
    seen = set(chain.from_iterable(names.seen.get(names.event(each), ()) for each in events))
    closed = bool(definitions) and all(each.unknown_properties == "reject" for each in definitions)
    for name, test in tests.items():
        where = (*path, "where", name)
        if name not in declared and name not in seen and name not in EVENT_FIELDS:
            known = tuple(sorted(declared | seen))
            if closed:
                yield Finding(where, f"no definition has a property {name!r}{hint(name, (), known=known)}")
            elif guess := nearly(name, (*known, *EVENT_FIELDS)):
                yield Finding(where, f"no property is called {name!r}; did you mean {guess!r}?")
        yield from _tests(test, where)


def _tests(test: Any, path: KeyPath) -> Iterator[Finding]:
    """Values that an operator cannot take. In several, the comparison of an order is of one kind throughout."""
    for operator, value in operators_of(test):
        where = (*path, operator) if isinstance(test, Operators) else path
        if operator in _ORDERING:
            values = value if isinstance(value, tuple) else (value,)
            if operator == "between" and len(values) != 2:
                yield Finding(where, "is no list of two values, the lower one first")
                continue
            kinds = {_order_kind(each) for each in values}
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


def _order_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return None if _refuses(day, value) else "instant" if len(value) > len("2026-01-31") else "date"
    return None if isinstance(value, bool) else "number"


def _ordered(value: Any) -> Any:
    return day(value) if isinstance(value, str) else number(value)


def _operator_names() -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in Operators.model_fields.items())


def _contact(node: ContactCondition, path: KeyPath, names: Names) -> Iterator[Finding]:
    given = [name for name, _ in node.tests()]
    compared = [name for name in COMPARISONS if name != "between" and getattr(node, name) is not None]
    subject = node.contact
    if subject == AGE:
        yield from _only(given, ("between",), path, "age", "at_least, at_most, more_than, less_than, equals or between")
        if not given and not compared:
            yield Finding(path, f"age needs a comparison: one of {', '.join(COMPARISONS)}, like `at_least: 90d`")
        for name in compared:
            yield from _refused(span, getattr(node, name), (*path, name))
        for place, each in enumerate(node.between or ()):
            yield from _refused(span, each, (*path, "between", place))
        if node.between is not None and len(node.between) != 2:
            yield Finding((*path, "between"), "is no list of two spans of time")
        return
    if subject == IS_ANONYMOUS:
        yield from _only(given + compared, ("eq", "equals"), path, IS_ANONYMOUS, "equals: true or equals: false")
        for name in ("eq", "equals"):
            if not isinstance(getattr(node, name), bool | None):
                yield Finding((*path, name), "is_anonymous equals true or false, nothing else")
        return
    if subject in names.identifiers and not names.has_column(subject):
        yield from _only(given + compared, ("exists",), path, subject, "exists")
        return
    if not subject.startswith(TRAIT_PREFIX):
        known = (AGE, IS_ANONYMOUS, *names.identifiers, *NUMBER_FIELDS)
        guess = nearly(subject, known) if subject not in known else None
        if guess:
            yield Finding(
                (*path, "contact"), f"did you mean {guess!r}? Write {TRAIT_PREFIX}{subject} for a trait of this name"
            )
    if given:
        yield from _tests(node, path)
    for name in compared:
        value = getattr(node, name)
        if name != "equals" and _order_kind(value) is None:
            yield Finding((*path, name), "compares numbers or dates: write a number or a date like 2026-01-31")


def _only(given: list[str], allowed: tuple[str, ...], path: KeyPath, subject: str, accepted: str) -> Iterator[Finding]:
    for name in given:
        if name not in allowed:
            yield Finding((*path, name), f"{subject} takes {accepted}")


def _rfm(node: RfmCondition, path: KeyPath, names: Names) -> Iterator[Finding]:
    subject = str(node.rfm)
    where = (*path, "rfm")
    bounds = [name for name, _ in node.bounds()]
    if subject in RFM_NUMBERS:
        if not bounds or node.in_ is not None:
            yield Finding(path, f"{subject} needs a comparison: one of {', '.join(COMPARISONS)}")
        if node.equals is not None:
            yield from _refused(number, node.equals, (*path, "equals"))
        if node.between is not None and isinstance(node.between[0], date):
            yield Finding((*path, "between"), f"{subject} is compared with numbers")
        return
    if any(name != "equals" for name in bounds) or (node.between is not None):
        yield Finding(path, f"takes equals or in; comparisons are for {', '.join(RFM_NUMBERS)}")
    if subject in (RFM_SEGMENT, RFM_SCORE):
        if (node.equals is None) == (node.in_ is None):
            yield Finding(path, f"{subject} needs one of equals and in")
        for each in () if subject == RFM_SCORE else (node.in_ or (node.equals,)):
            yield from _rfm_segment(each, path, names)
    elif node.equals is not None or node.in_ is not None:
        yield Finding(where, f"takes no equals or in here: write `rfm: {RFM_SEGMENT}` for that")
    else:
        yield from _rfm_segment(node.rfm, where, names)


def _rfm_segment(written: Any, path: KeyPath, names: Names) -> Iterator[Finding]:
    if written is not None and written not in names.rfm_segments:
        accepted = (*names.rfm_segments, *RFM_NUMBERS, RFM_SCORE, RFM_SEGMENT)
        yield Finding(path, f"{written!r} is no RFM segment and no score{hint(written, accepted)}")


def _refused(read: Callable[[object], object], value: object, path: KeyPath) -> Iterator[Finding]:
    try:
        read(value)
    except Refusal as refusal:
        yield Finding(path, f"{value!r} is not {refusal.expected}")


def _refuses(read: Callable[[object], object], value: object) -> bool:
    return any(_refused(read, value, ()))
