"""Which events a condition is about, and which of those it counts; what several definitions read of events at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlglot import exp

from eventpipe.segments.expressions import distinct, equals, is_there, one_of, table
from eventpipe.segments.grammar import ANY_GOAL, EventCondition, GoalCondition, Segment, Where, leaves
from eventpipe.segments.names import EVENT_FIELDS, Names
from eventpipe.segments.query import Standpoint
from eventpipe.segments.values import Attribute, json_attribute, tests
from eventpipe.segments.window import Window, window


def alive() -> exp.Expr:
    """An event that counts somewhere."""
    return exp.NEQ(this=exp.column("deletion"), expression=exp.Literal.string("deleted"))


def selection(node: GoalCondition | EventCondition, names: Names) -> list[exp.Expr]:
    """Which events a condition is about, whenever they happened: `first` and `last` look at these."""
    events = tuple(dict.fromkeys(names.event(name) for name in node.names))
    named = [one_of("event_name", events)] if events else []
    return [*_goals(node), *named] if isinstance(node, GoalCondition) else named


def _goals(node: GoalCondition) -> Iterator[exp.Expr]:
    yield is_there(exp.column("goal_type")) if node.goal == ANY_GOAL else equals("goal_type", node.goal)
    if node.goal_name is not None:
        yield equals("goal_name", node.goal_name)


def counted(node: GoalCondition | EventCondition, standpoint: Standpoint) -> list[exp.Expr]:
    """Which of those events count: when they happened, and what `where` asks of them."""
    names = standpoint.names
    in_time = window(node, standpoint.as_of, names.timezone).holds(exp.column("occurred_at"))
    goal = node.goal if isinstance(node, GoalCondition) else None
    return [*in_time, *where_holds(node.where, names, node.names, goal)]


def since_window(node: GoalCondition | EventCondition, standpoint: Standpoint) -> Iterator[exp.Expr]:
    """Which events happened after a condition's window began, or in it."""
    opened = window(node, standpoint.as_of, standpoint.names.timezone)
    yield from Window(opened.start, opened.with_start).holds(exp.column("occurred_at"))


def where_holds(where: Where, names: Names, events: Iterable[str], goal: str | None = None) -> Iterator[exp.Expr]:
    """What `where` asks of a row of events, of those that have one of these names or count as the goal."""
    events = tuple(events)
    for name, test in where.items():
        attribute = event_attribute(name, names, events, goal)
        yield from (exp.paren(each, copy=False) for each in tests(attribute, test, names.timezone))


def event_attribute(name: str, names: Names, events: Iterable[str], goal: str | None = None) -> Attribute:
    """What a name in a definition reads of a row of events: its property, under the name that the events' definitions
    give to it, else the field of that name."""
    column = exp.column(name) if name in EVENT_FIELDS else None
    declared = names.properties(name, names.definitions(events, goal))
    return json_attribute(exp.column("properties"), declared, column)


def events_read(segments: Collection[Segment], columns: Iterable[str], standpoint: Standpoint) -> exp.Select:
    """All that these definitions look at of events: those that any of them can count or is kept from counting by, with
    these columns, and their properties where any tests one.
    """
    looked_at = exp.or_(*distinct(each for segment in segments for each in _relevant(segment, standpoint)))
    tested = exp.or_(*distinct(each for segment in segments for each in _tested(segment, standpoint.names)))
    properties = exp.case().when(tested, exp.column("properties")).as_("properties")
    events = table(standpoint.tables.events, "events")
    return exp.select(*columns, properties).from_(events).where(alive(), looked_at)


def _relevant(segment: Segment, standpoint: Standpoint) -> Iterator[exp.Expr]:
    """Which events a definition looks at, at all: one condition for each kind of them."""
    yield exp.false()
    for leaf in leaves(segment.where):
        if isinstance(leaf, GoalCondition | EventCondition):
            since = () if leaf.first or leaf.last else since_window(leaf, standpoint)
            yield exp.and_(*selection(leaf, standpoint.names), *since)
        if isinstance(leaf, EventCondition) and leaf.without is not None:
            yield equals("event_name", standpoint.names.event(leaf.without.event))


def _tested(segment: Segment, names: Names) -> Iterator[exp.Expr]:
    """Of which events it tests properties."""
    yield exp.false()
    for leaf in leaves(segment.where):
        if isinstance(leaf, GoalCondition | EventCondition) and leaf.where:
            yield exp.and_(*selection(leaf, names))
