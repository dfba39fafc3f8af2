"""What is wrong in a definition beyond the types of its values: keys that do not go together, names that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from eventpipe.project.document import KeyPath
from eventpipe.project.refusal import Finding, hint
from eventpipe.project.rfm import MAX_BINS
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
    RfmCondition,
    SegmentCondition,
)
from eventpipe.segments.names import (
    AGE,
    IS_ANONYMOUS,
    NUMBER_FIELDS,
    RFM_NUMBERS,
    RFM_SCORE,
    RFM_SEGMENT,
    TRAIT_PREFIX,
    Names,
)
from eventpipe.segments.operands import number, span, spans
from eventpipe.segments.property_findings import (
    event_name_findings,
    nearly,
    operator_findings,
    order_kind,
    reading_findings,
    where_findings,
)
from eventpipe.segments.window import start_of

MAX_DEPTH: Final = 10
MAX_CONDITIONS: Final = 100
_SCORES: Final = re.compile(f"[1-{MAX_BINS}]{{3}}")


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
    yield from _times(node, path, names)
    if node.aggregate in MONEY and not list(node.bounds()):
        yield Finding(path, f"an aggregate {node.aggregate} needs a comparison: one of {', '.join(COMPARISONS)}")
    if node.event is not None:
        yield from event_name_findings(node.event, (*path, "event"), names)
    yield from where_findings(node.where, path, node.names, names, node.goal)


def _event(node: EventCondition, path: KeyPath, names: Names) -> Iterator[Finding]:
    yield from _times(node, path, names)
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


def _times(node: OfEvents, path: KeyPath, names: Names) -> Iterator[Finding]:
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
    if node.before is not None and node.after is not None:
        zone = names.timezone
        if start_of(node.after, zone) >= start_of(node.before, zone):
            yield Finding(path, "ends before it begins: `after` is the first instant that counts, `before` ends them")
    if node.first and node.last:
        yield Finding(path, "is about the first and the last event at once: keep one, or write two conditions")


def _contact(node: ContactCondition, path: KeyPath, names: Names) -> Iterator[Finding]:
    given = [name for name, _ in node.tests()]
    compared = [name for name, _ in node.comparisons()]
    subject = node.contact
    if subject == AGE:
        yield from _only(given, ("between",), path, "age", "at_least, at_most, more_than, less_than, equals or between")
        if not given and not compared:
            yield Finding(path, f"age needs a comparison: one of {', '.join(COMPARISONS)}, like `at_least: 90d`")
        for name in compared:
            yield from reading_findings(span, getattr(node, name), (*path, name))
        wrong = [
            found
            for place, each in enumerate(node.between or ())
            for found in reading_findings(span, each, (*path, "between", place))
        ]
        yield from wrong
        if node.between is not None and not wrong:
            yield from reading_findings(spans, node.between, (*path, "between"))
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
        yield from operator_findings(node, path)
    for name in compared:
        value = getattr(node, name)
        if name != "equals" and order_kind(value) is None:
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
            yield from reading_findings(number, node.equals, (*path, "equals"))
        if node.between is not None and isinstance(node.between[0], date):
            yield Finding((*path, "between"), f"{subject} is compared with numbers")
        return
    if any(name != "equals" for name in bounds) or (node.between is not None):
        yield Finding(path, f"takes equals or in; comparisons are for {', '.join(RFM_NUMBERS)}")
    if subject in (RFM_SEGMENT, RFM_SCORE):
        if (node.equals is None) == (node.in_ is None):
            yield Finding(path, f"{subject} needs one of equals and in")
        for each in node.in_ or (node.equals,):
            yield from _rfm_score(each, path) if subject == RFM_SCORE else _rfm_segment(each, path, names)
    elif node.equals is not None or node.in_ is not None:
        yield Finding(where, f"takes no equals or in here: write `rfm: {RFM_SEGMENT}` for that")
    else:
        yield from _rfm_segment(node.rfm, where, names)


def _rfm_score(written: Any, path: KeyPath) -> Iterator[Finding]:
    if written is not None and not _SCORES.fullmatch(str(written)):
        yield Finding(path, f"{written!r} is no {RFM_SCORE}: write the scores r, f and m side by side, like 543")


def _rfm_segment(written: Any, path: KeyPath, names: Names) -> Iterator[Finding]:
    if written is not None and written not in names.rfm_segments:
        accepted = (*names.rfm_segments, *RFM_NUMBERS, RFM_SCORE, RFM_SEGMENT)
        yield Finding(path, f"{written!r} is no RFM segment and no score{hint(written, accepted)}")
