"""A definition as one query: the ids of its members.

Each condition on events becomes a common table expression with one row per contact that has such events, and each is true
or false, never null, of every contact: `not` is exactly the complement. Nothing of a definition is ever SQL: names and
values become literals, the rest is built here, as trees that sqlglot writes for an engine's dialect.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from eventpipe.segments import behaviour, profile
from eventpipe.segments.expressions import column, is_there, or_false
from eventpipe.segments.grammar import (
    All,
    AnyOf,
    ContactCondition,
    EventCondition,
    GoalCondition,
    Leaf,
    Node,
    Not,
    RfmCondition,
    SegmentCondition,
)
from eventpipe.segments.query import Judged, Query, Standpoint


class Compiler:
    """Writes queries as of an instant. `members_of` gives the contact ids of another segment, as a select."""

    def __init__(self, standpoint: Standpoint, members_of: Callable[[str], exp.Select]) -> None:
        self._standpoint = standpoint
        self._members_of = members_of

    def query(self, condition: Node) -> Query:
        """The query of one condition, of whatever depth."""
        query = Query(self._standpoint.tables)
        query.holds = self._holds(condition, query)
        return query

    def _holds(self, node: Node, query: Query) -> exp.Expr:
        if isinstance(node, All):
            return exp.and_(*(self._holds(each, query) for each in node.all))
        if isinstance(node, AnyOf):
            return exp.or_(*(self._holds(each, query) for each in node.any))
        if isinstance(node, Not):
            return exp.Not(this=exp.Paren(this=self._holds(node.not_, query)))
        value, holds = self._leaf(node, query)
        holds = or_false(holds)
        query.judged.append(Judged(node, value, holds))
        return holds.copy()

    def _leaf(self, node: Leaf, query: Query) -> tuple[exp.Expr, exp.Expr]:
        """What a condition looks at of a contact, and whether it holds."""
        match node:
            case GoalCondition():
                return behaviour.goal(node, self._standpoint, query)
            case EventCondition():
                return behaviour.event(node, self._standpoint, query)
            case ContactCondition():
                return profile.contact(node, self._standpoint, query)
            case RfmCondition():
                return profile.rfm(node, self._standpoint, query)
            case SegmentCondition():
                member = is_there(column(query.step("segment", self._members_of(node.segment)), "contact_id"))
                return member, member.copy()
