"""Which events a condition is about, and which of those it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from eventpipe.project.definitions import PropertyDefinition
from eventpipe.segments.expressions import equals, is_there, one_of
from eventpipe.segments.grammar import ANY_GOAL, EventCondition, GoalCondition, Where
from eventpipe.segments.names import EVENT_FIELDS, Names
from eventpipe.segments.query import Standpoint
from eventpipe.segments.values import Attribute, amount_text, json_attribute, tests
from eventpipe.segments.window import Window, window


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
    """Which of those events count: when they happened, and what else is asked of them."""
    in_time = window(node, standpoint.as_of, standpoint.names.timezone).holds(exp.column("occurred_at"))
    return [*in_time, *qualified(node, standpoint.names)]


def qualified(node: GoalCondition | EventCondition, names: Names) -> Iterator[exp.Expr]:
    """What is asked of them, whenever they happened: `where`, and the one currency of a sum or a mean."""
    yield from where_holds(node.where, names, node.names, node.goal if isinstance(node, GoalCondition) else None)
    if isinstance(node, GoalCondition):
        currency = node.asked_in(names.currency)
        if currency is not None:
            yield equals("currency", currency)


def period(node: GoalCondition | EventCondition, standpoint: Standpoint) -> Window:
    """The window that a condition looks at; `first` and `last` look at all time."""
    if node.first or node.last:
        return Window()
    return window(node, standpoint.as_of, standpoint.names.timezone)


def where_holds(where: Where, names: Names, events: Iterable[str], goal: str | None = None) -> Iterator[exp.Expr]:
    """What `where` asks of a row of events, of those that have one of these names or count as the goal."""
    events = tuple(events)
    for name, test in where.items():
        attribute = event_attribute(name, names, events, goal)
        yield from (exp.paren(each, copy=False) for each in tests(attribute, test, names.timezone))


def event_attribute(name: str, names: Names, events: Iterable[str], goal: str | None = None) -> Attribute:
    """What a name in a definition reads of a row of events: its property, under the name that the row's event definition
    gives to it, else the field that this maps to, for a source may fill it by itself, else the field of that name."""

    def read(called: str, field: str | None) -> Attribute:
        return json_attribute(exp.column("properties"), called, None if field is None else _field(field))

    events = tuple(events)
    itself = (name, field_of(name, None))
    declared = {event: (each.name, field_of(name, each)) for event, each in names.declared(name, events, goal).items()}
    places = {declared.get(names.event(each), itself) for each in events}
    if len(places) == 1:
        return read(*places.pop())
    found = read(*itself)
    for event, place in declared.items():
        if place != itself:
            found = read(*place).where(equals("event_name", event), found)
    return found


def field_of(name: str, declared: PropertyDefinition | None) -> str | None:
    """The field of an event that stands in for a property that is not there, None where none does."""
    mapped = None if declared is None else declared.maps_to
    return next((field for field in (mapped, name) if field in EVENT_FIELDS), None)


def _field(name: str) -> exp.Expr:
    """A field of an event as text."""
    column = exp.column(name)
    return amount_text(column) if name == "value" else exp.cast(column, "text")
