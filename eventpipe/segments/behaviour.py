"""Conditions on goals and events: what is counted or summed of a contact's, as one row a contact."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from eventpipe.segments.expressions import equals, or_zero, parsed
from eventpipe.segments.grammar import EventCondition, GoalCondition, Without
from eventpipe.segments.query import Query, Reading, Standpoint
from eventpipe.segments.selection import counted, period, selection
from eventpipe.segments.values import compared
from eventpipe.segments.window import Window, window

_AGGREGATES: Final = {
    "count": "count(*)",
    "orders": "count(distinct coalesce(order_id, event_id))",
    "sum": "coalesce(sum(value), 0)",
    # Rounded half away from zero to four places, as contact_goals shows it.
    "avg": "cast((2 * cast(sum(value) * 10000 as hugeint) + sign(sum(value)) * count(value))"
    " // nullif(2 * count(value), 0) as decimal(38, 0)) * cast(0.0001 as decimal(4, 4))",
    "min": "min(value)",
    "max": "max(value)",
}
_ZERO_WITHOUT_EVENTS: Final = ("count", "orders", "sum")
_TICK: Final = "interval '1' microsecond"


def goal(node: GoalCondition, standpoint: Standpoint, query: Query) -> tuple[exp.Expr, exp.Expr]:
    """The aggregate of a contact's goals, and whether it compares; sums and means are of one currency."""
    value: exp.Expr = query.value("goal", _aggregated(node, _AGGREGATES[node.aggregate], standpoint))
    if node.aggregate in _ZERO_WITHOUT_EVENTS:
        value = or_zero(value)
    bounds = list(node.bounds()) or [("at_least", 1)]
    return value, exp.and_(*(compared(value, *bound) for bound in bounds))


def event(node: EventCondition, standpoint: Standpoint, query: Query) -> tuple[exp.Expr, exp.Expr]:
    """How many such events a contact has, and whether that compares."""
    step = (
        _aggregated(node, _AGGREGATES["count"], standpoint)
        if node.without is None
        else _sequence(node, node.without, standpoint)
    )
    value = or_zero(query.value("event", step))
    bounds = list((node.count or node).bounds()) or [("at_least", 1)]
    return value, exp.and_(*(compared(value, *bound) for bound in bounds))


def _aggregated(node: GoalCondition | EventCondition, aggregate: str, standpoint: Standpoint) -> exp.Select:
    source = _source(node, standpoint)
    return source.select("contact_id", exp.alias_(parsed(aggregate), "value")).group_by("contact_id")


def _source(node: GoalCondition | EventCondition, standpoint: Standpoint) -> exp.Select:
    """The counted events, or the one that is the contact's first or last, if it is among them."""
    about = tuple(selection(node, standpoint.names))
    events = standpoint.tables.live(Reading(about, period(node, standpoint), tested=bool(node.where)))
    kept = counted(node, standpoint)
    if not (node.first or node.last):
        return events.where(*kept)
    direction = " desc" if node.last else ""
    place = f"row_number() over (partition by contact_id order by occurred_at{direction}, event_id{direction})"
    numbered = events.select("*", exp.alias_(parsed(place), "place"))
    first = exp.EQ(this=exp.column("place"), expression=exp.Literal.number(1))
    return exp.select().from_(numbered.subquery("numbered")).where(first, *kept)


def _sequence(node: EventCondition, without: Without, standpoint: Standpoint) -> exp.Select:
    """The counted events that have no other one after (before) them."""
    after = without.after is not None
    # What happened before every counted event happened after none of them.
    since = window(node, standpoint.as_of, standpoint.names.timezone).since() if after else Window()
    spent = equals("event_name", standpoint.names.event(without.event))
    others = standpoint.tables.live(Reading((spent,), since)).select("contact_id", "occurred_at", "false as is_counted")
    moments = _source(node, standpoint).select("contact_id", "occurred_at", "true as is_counted")
    nearest, frame = ("min", f"{_TICK} following and unbounded following")
    if not after:
        nearest, frame = ("max", f"unbounded preceding and {_TICK} preceding")
    neighbour = parsed(
        f"{nearest}(case when not is_counted then occurred_at end) over"
        f" (partition by contact_id order by occurred_at range between {frame})"
    )
    both = exp.union(moments, others.where(*since.holds(exp.column("occurred_at"))), distinct=False)
    paired = exp.select("contact_id", "is_counted", "occurred_at", exp.alias_(neighbour, "other_at")).from_(
        both.subquery("moments")
    )
    alone: exp.Expr = exp.Is(this=exp.column("other_at"), expression=exp.Null())
    if without.within is not None:
        apart = f"interval '{int(without.within.total_seconds())}' second"
        alone = exp.or_(
            alone, parsed(f"other_at > occurred_at + {apart}" if after else f"other_at < occurred_at - {apart}")
        )
    return (
        exp.select("contact_id", "count(*) as value")
        .from_(paired.subquery("paired"))
        .where("is_counted", alone)
        .group_by("contact_id")
    )
