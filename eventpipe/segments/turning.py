"""What turns though nothing landed: of whom a condition may say something else at one instant than at an earlier one.

Events only leave a window of `in_last`, people only get older, scores move with the days and with those of others, and other segments'
members come and go. Nothing else that a condition looks at depends on as_of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlglot import exp

from eventpipe.segments.expressions import sql
from eventpipe.segments.grammar import (
    All,
    AnyOf,
    Comparisons,
    ContactCondition,
    EventCondition,
    GoalCondition,
    Node,
    Not,
    RfmCondition,
    SegmentCondition,
)
from eventpipe.segments.holders import MOVED, condition_of, moves
from eventpipe.segments.names import AGE, Names
from eventpipe.segments.operands import span, spans
from eventpipe.segments.query import alive
from eventpipe.segments.selection import qualified, selection
from eventpipe.segments.window import instant
from eventpipe.sql import literal

_FLOORS: Final = frozenset({"at_least", "more_than"})
_CEILINGS: Final = frozenset({"at_most", "less_than"})


@dataclass(frozen=True)
class Turning:
    """Contacts of whom a condition may have turned: `contacts` is what stands between `select contact_id` and the end of a
    query; `rises` and `falls`, whether it can have become true, or false, are conditions on its rows."""

    contacts: str
    rises: str = "true"
    falls: str = "true"

    def reversed(self) -> Turning:
        """The same of its complement."""
        return Turning(self.contacts, self.falls, self.rises)

    def query(self) -> str:
        """Rows of contact_id, rises, falls."""
        return f"select contact_id, {self.rises} as rises, {self.falls} as falls {self.contacts}"


@dataclass(frozen=True)
class Turnings:
    """Between two instants. `of_segment` tells the same of another segment's members."""

    names: Names
    since: datetime
    as_of: datetime
    of_segment: Callable[[str], Turning]

    def of(self, node: Node) -> Iterator[Turning]:
        """Of a definition: that of its conditions. It turns only the way that one of them does."""
        match node:
            case All() | AnyOf():
                for each in node.all if isinstance(node, All) else node.any:
                    yield from self.of(each)
            case Not():
                yield from (each.reversed() for each in self.of(node.not_))
            case GoalCondition() | EventCondition():
                yield from self._left_a_window(node)
            case ContactCondition():
                yield from self._came_of_age(node)
            case RfmCondition():
                if moves(node):
                    yield _rescored(condition_of(node, self.names))
            case SegmentCondition():
                yield self.of_segment(node.segment)

    def _left_a_window(self, node: GoalCondition | EventCondition) -> Iterator[Turning]:
        """Contacts with an event that the window lost: whatever is counted has become less."""
        if node.in_last is None:
            return
        passed = self._passed("occurred_at", node.in_last)
        lost = sql(exp.and_(alive(), passed, *selection(node, self.names), *qualified(node, self.names)))
        given = set()
        if node.aggregate in ("count", "orders"):
            bounds: Comparisons = node.count if isinstance(node, EventCondition) and node.count is not None else node
            given = {name for name, _ in bounds.bounds()} or {"at_least"}
        rises, falls = not given or not given <= _FLOORS, not given or not given <= _CEILINGS
        yield Turning(f"from main.events where {lost}", literal(rises), literal(falls))

    def _came_of_age(self, node: ContactCondition) -> Iterator[Turning]:
        if node.contact != AGE:
            return
        ages = [(name, span(age)) for name, age in node.comparisons()]
        if node.between is not None:
            ages += zip(("at_least", "at_most"), spans(node.between), strict=True)
        for name, age in ages:
            came = sql(self._passed("first_seen_at", age))
            yield Turning(
                f"from main.contacts where {came}", literal(name not in _CEILINGS), literal(name not in _FLOORS)
            )

    def _passed(self, column: str, length: timedelta) -> exp.Expr:
        """What happened so long before one of the instants between the two."""
        low, high = instant(self.since - length), instant(self.as_of - length)
        return exp.Between(this=exp.column(column), low=low, high=high)


def _rescored(condition: str) -> Turning:
    return Turning(f"from {MOVED} where condition = {literal(condition)}", "place is null", "place is not null")
