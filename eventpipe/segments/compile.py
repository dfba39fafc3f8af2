"""A definition as one query: the ids of its members (spec 3, "Segments").

Each condition on events becomes a common table expression with one row per contact that has such events, and each is true
or false, never null, of every contact: `not` is exactly the complement. Nothing of a definition is ever SQL: names and
values become literals, the rest is built here, as trees that sqlglot writes for an engine's dialect.

Tables that are read, under the names that `Tables` gives them: events, contacts, contact_identifiers, contact_rfm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlglot
from sqlglot import exp

from eventpipe.segments.grammar import (
    ANY_GOAL,
    MONEY,
    All,
    AnyOf,
    ContactCondition,
    EventCondition,
    GoalCondition,
    Leaf,
    Node,
    Not,
    OfEvents,
    RfmCondition,
    Segment,
    SegmentCondition,
    Where,
    leaves,
)
from eventpipe.segments.names import (
    AGE,
    EVENT_FIELDS,
    IS_ANONYMOUS,
    NUMBER_FIELDS,
    RFM_NUMBERS,
    RFM_SCORE,
    RFM_SEGMENT,
    TEXT_FIELDS,
    TRAIT_PREFIX,
    Names,
)
from eventpipe.segments.operands import span, spans
from eventpipe.segments.values import Attribute, attribute_compared, compared, json_attribute, tests
from eventpipe.segments.window import Window, instant, window

DIALECT: Final = "duckdb"

_AGGREGATES: Final = {
    "count": "count(*)",
    "orders": "count(distinct coalesce(order_id, event_id))",
    "sum": "coalesce(sum(value), 0)",
    # Rounded half away from zero to four places, as contact_goals shows it.
    "avg": "cast((2 * cast(sum(value) * 10000 as hugeint) + sign(sum(value)) * count(value))"
    " // nullif(2 * count(value), 0) / 10000 as decimal(38, 4))",
    "min": "min(value)",
    "max": "max(value)",
}
_TICK: Final = "interval '1' microsecond"


@dataclass(frozen=True)
class Tables:
    """Where the query finds what it reads."""

    events: str = "events"
    contacts: str = "contacts"
    identifiers: str = "contact_identifiers"
    rfm: str = "contact_rfm"


@dataclass(frozen=True)
class Judged:
    """A condition of a definition: what it looks at of a contact, and whether it holds, as columns of the query."""

    leaf: Leaf
    value: exp.Expr
    holds: exp.Expr


@dataclass
class Query:
    """The parts of a query over contacts; `holds` is the whole definition."""

    tables: Tables
    steps: dict[str, exp.Select] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    holds: exp.Expr = field(default_factory=exp.true)

    def members(self, *columns: str) -> exp.Select:
        """The contacts for whom it holds: their contact_id, and further columns of `contacts`."""
        return self._over_contacts(*(_column("contacts", name) for name in ("contact_id", *columns))).where(self.holds)

    def explained(self) -> exp.Select:
        """Of every contact, whether it holds, and of each condition the value (text) and whether that holds."""
        shown = [exp.alias_(self.holds.copy(), "holds")]
        for place, each in enumerate(self.judged):
            shown.append(exp.alias_(exp.cast(each.value.copy(), "text"), f"value_{place}"))
            shown.append(exp.alias_(each.holds.copy(), f"holds_{place}"))
        return self._over_contacts(*shown)

    def _over_contacts(self, *columns: exp.Expr) -> exp.Select:
        query = exp.select(*columns).from_(_table(self.tables.contacts, "contacts"))
        for name, step in self.steps.items():
            query = query.with_(name, step.copy(), copy=False)
            joined = exp.EQ(this=_column("contacts", "contact_id"), expression=_column(name, "contact_id"))
            query = query.join(exp.to_table(name), on=joined, join_type="left", copy=False)
        return query


class Compiler:
    """Writes queries as of an instant. `members_of` gives the contact ids of another segment, as a select."""

    def __init__(self, names: Names, as_of: datetime, tables: Tables, members_of: Callable[[str], exp.Select]) -> None:
        self._names = names
        self._as_of = as_of
        self._tables = tables
        self._members_of = members_of

    def query(self, condition: Node) -> Query:
        """The query of one condition, of whatever depth."""
        query = Query(self._tables)
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
        holds = exp.Coalesce(this=holds, expressions=[exp.false()])
        query.judged.append(Judged(node, value, holds))
        return holds.copy()

    def _leaf(self, node: Leaf, query: Query) -> tuple[exp.Expr, exp.Expr]:
        match node:
            case GoalCondition():
                return self._goal(node, query)
            case EventCondition():
                return self._event(node, query)
            case ContactCondition():
                return self._contact(node, query)
            case RfmCondition():
                return self._rfm(node, query)
            case SegmentCondition():
                name = _step(query, f"segment_{len(query.steps) + 1}", self._members_of(node.segment))
                member = exp.Not(this=exp.Is(this=_column(name, "contact_id"), expression=exp.Null()))
                return member, member.copy()

    def selection(self, node: GoalCondition | EventCondition) -> list[exp.Expr]:
        """Which events a condition is about, whenever they happened: `first` and `last` look at these."""
        return [*(self.goal_selection(node) if isinstance(node, GoalCondition) else self.event_selection(node))]

    def reads(self, segments: Collection[Segment], columns: Iterable[str]) -> exp.Select:
        """All that these definitions look at of events: those that any of them can count or is kept from counting by,
        with these columns, and their properties where any tests one.
        """
        looked_at = exp.or_(*distinct(each for segment in segments for each in self._relevant(segment)))
        tested = exp.or_(*distinct(each for segment in segments for each in self._tested(segment)))
        properties = exp.case().when(tested, exp.column("properties")).as_("properties")
        events = _table(self._tables.events, "events")
        return exp.select(*columns, properties).from_(events).where(_alive(), looked_at)

    def _relevant(self, segment: Segment) -> Iterator[exp.Expr]:
        """Which events a definition looks at, at all: one condition for each kind of them."""
        yield exp.false()
        for leaf in leaves(segment.where):
            if isinstance(leaf, GoalCondition | EventCondition):
                opened = window(leaf, self._as_of, self._names.timezone)
                since = Window() if leaf.first or leaf.last else Window(opened.start, opened.with_start)
                yield exp.and_(*self.selection(leaf), *since.holds(exp.column("occurred_at")))
            if isinstance(leaf, EventCondition) and leaf.without is not None:
                yield _equals("event_name", self._names.event(leaf.without.event))

    def _tested(self, segment: Segment) -> Iterator[exp.Expr]:
        """Of which events it tests properties."""
        yield exp.false()
        for leaf in leaves(segment.where):
            if isinstance(leaf, GoalCondition | EventCondition) and leaf.where:
                yield exp.and_(*self.selection(leaf))

    def _goal(self, node: GoalCondition, query: Query) -> tuple[exp.Expr, exp.Expr]:
        selected = [_alive(), *self.goal_selection(node)]
        kept = [*self._kept(node, () if node.event is None else (node.event,), node.goal)]
        currency = node.currency or (self._names.currency if node.aggregate in MONEY else None)
        if currency is not None:
            kept.append(_equals("currency", currency))
        step = self._aggregated(node, selected, kept, _AGGREGATES[node.aggregate])
        value: exp.Expr = _column(_step(query, f"goal_{len(query.steps) + 1}", step), "value")
        if node.aggregate in ("count", "orders", "sum"):
            value = _or_zero(value)
        bounds = list(node.bounds()) or [("at_least", 1)]
        return value, exp.and_(*(compared(value, *bound) for bound in bounds))

    def _event(self, node: EventCondition, query: Query) -> tuple[exp.Expr, exp.Expr]:
        selected = [_alive(), *self.event_selection(node)]
        kept = [*self._kept(node, node.names, None)]
        if node.without is None:
            step = self._aggregated(node, selected, kept, _AGGREGATES["count"])
        else:
            step = self._sequence(node, selected, kept)
        value = _or_zero(_column(_step(query, f"event_{len(query.steps) + 1}", step), "value"))
        bounds = list((node.count or node).bounds()) or [("at_least", 1)]
        return value, exp.and_(*(compared(value, *bound) for bound in bounds))

    def goal_selection(self, node: GoalCondition) -> Iterator[exp.Expr]:
        """Which events "such" goals are: `first` and `last` look at these."""
        if node.goal == ANY_GOAL:
            yield exp.Not(this=exp.Is(this=exp.column("goal_type"), expression=exp.Null()))
        else:
            yield _equals("goal_type", node.goal)
        if node.goal_name is not None:
            yield _equals("goal_name", node.goal_name)
        if node.event is not None:
            yield _equals("event_name", self._names.event(node.event))

    def event_selection(self, node: EventCondition) -> Iterator[exp.Expr]:
        """Which events are meant."""
        yield _one_of("event_name", tuple(dict.fromkeys(self._names.event(name) for name in node.names)))

    def _kept(self, node: OfEvents, events: tuple[str, ...], goal: str | None) -> Iterator[exp.Expr]:
        yield from window(node, self._as_of, self._names.timezone).holds(exp.column("occurred_at"))
        yield from where_holds(node.where, self._names, events, goal)

    def _source(self, node: OfEvents, selected: list[exp.Expr], kept: list[exp.Expr]) -> exp.Select:
        """The counted events, or the one that is the contact's first or last, if it is among them."""
        events = _table(self._tables.events, "events")
        if not (node.first or node.last):
            return exp.select().from_(events).where(*selected, *kept)
        direction = " desc" if node.last else ""
        place = f"row_number() over (partition by contact_id order by occurred_at{direction}, event_id{direction})"
        numbered = exp.select("*", exp.alias_(_parsed(place), "place")).from_(events).where(*selected)
        first = exp.EQ(this=exp.column("place"), expression=exp.Literal.number(1))
        return exp.select().from_(numbered.subquery("numbered")).where(first, *kept)

    def _aggregated(self, node: OfEvents, selected: list[exp.Expr], kept: list[exp.Expr], aggregate: str) -> exp.Select:
        source = self._source(node, selected, kept)
        return source.select("contact_id", exp.alias_(_parsed(aggregate), "value")).group_by("contact_id")

    def _sequence(self, node: EventCondition, selected: list[exp.Expr], kept: list[exp.Expr]) -> exp.Select:
        """The counted events that have no other one after (before) them."""
        assert node.without is not None
        after = node.without.after is not None
        spent = [_alive(), _equals("event_name", self._names.event(node.without.event))]
        if after:
            # What happened before every counted event happened after none of them.
            opened = window(node, self._as_of, self._names.timezone)
            spent += Window(opened.start, opened.with_start).holds(exp.column("occurred_at"))
        others = exp.select("contact_id", "occurred_at", "false as is_counted").from_(
            _table(self._tables.events, "events")
        )
        moments = self._source(node, selected, kept).select("contact_id", "occurred_at", "true as is_counted")
        nearest, frame = ("min", f"{_TICK} following and unbounded following")
        if not after:
            nearest, frame = ("max", f"unbounded preceding and {_TICK} preceding")
        neighbour = _parsed(
            f"{nearest}(case when not is_counted then occurred_at end) over"
            f" (partition by contact_id order by occurred_at range between {frame})"
        )
        both = exp.union(moments, others.where(*spent), distinct=False)
        paired = exp.select("contact_id", "is_counted", "occurred_at", exp.alias_(neighbour, "other_at")).from_(
            both.subquery("moments")
        )
        alone: exp.Expr = exp.Is(this=exp.column("other_at"), expression=exp.Null())
        if node.without.within is not None:
            apart = _seconds(node.without.within)
            limit = f"other_at > occurred_at + {apart}" if after else f"other_at < occurred_at - {apart}"
            alone = exp.or_(alone, _parsed(limit))
        return (
            exp.select("contact_id", "count(*) as value")
            .from_(paired.subquery("paired"))
            .where("is_counted", alone)
            .group_by("contact_id")
        )

    def _contact(self, node: ContactCondition, query: Query) -> tuple[exp.Expr, exp.Expr]:
        subject = node.contact
        if subject == AGE:
            return self._age(node)
        if subject == IS_ANONYMOUS:
            column = _column("contacts", IS_ANONYMOUS)
            wanted = True if node.equals is None and node.eq is None else node.equals if node.eq is None else node.eq
            return column, column.copy() if wanted else exp.Not(this=column.copy())
        if subject in self._names.identifiers and not self._names.has_column(subject):
            step = exp.select("contact_id", "count(*) as value").from_(self._tables.identifiers)
            step = step.where(_equals("identifier_type", subject)).group_by("contact_id")
            held = _or_zero(_column(_step(query, f"identifier_{len(query.steps) + 1}", step), "value"))
            kind = exp.EQ if node.exists is False else exp.GT
            return held, kind(this=held.copy(), expression=exp.Literal.number(0))
        attribute = self._attribute(subject)
        conditions = [*tests(attribute, node, self._names.timezone)] if list(node.tests()) else []
        for name in ("at_least", "at_most", "more_than", "less_than", "equals"):
            value = getattr(node, name)
            if value is not None:
                conditions.append(attribute_compared(attribute, name, value, self._names.timezone))
        there = exp.Not(this=exp.Is(this=attribute.text.copy(), expression=exp.Null()))
        return attribute.text, exp.and_(*(conditions or [there]))

    def _attribute(self, subject: str) -> Attribute:
        if self._names.has_column(subject) or subject in (*NUMBER_FIELDS, *TEXT_FIELDS):
            return Attribute(exp.cast(_column("contacts", subject), "text"))
        return json_attribute(_column("contacts", "traits"), [subject.removeprefix(TRAIT_PREFIX)])

    def _age(self, node: ContactCondition) -> tuple[exp.Expr, exp.Expr]:
        """Older than N is first seen before as_of - N."""
        seen = _column("contacts", "first_seen_at")
        kinds: dict[str, type[exp.Binary]] = {
            "at_least": exp.LTE,
            "at_most": exp.GTE,
            "more_than": exp.LT,
            "less_than": exp.GT,
            "equals": exp.EQ,
        }
        conditions: list[exp.Expr] = [
            kind(this=seen.copy(), expression=instant(self._as_of - span(getattr(node, name))))
            for name, kind in kinds.items()
            if getattr(node, name) is not None
        ]
        if node.between is not None:
            youngest, oldest = spans(node.between)
            conditions.append(
                exp.Between(this=seen.copy(), low=instant(self._as_of - oldest), high=instant(self._as_of - youngest))
            )
        age = exp.Sub(this=instant(self._as_of), expression=seen.copy())
        return age, exp.and_(*conditions)

    def _rfm(self, node: RfmCondition, query: Query) -> tuple[exp.Expr, exp.Expr]:
        subject = str(node.rfm)
        column = rfm_column(node)
        step = exp.select("contact_id", exp.alias_(exp.column(column), "value")).from_(self._tables.rfm)
        step = step.where(_equals("currency", node.currency or self._names.currency))
        value = _column(_step(query, f"rfm_{len(query.steps) + 1}", step), "value")
        if column in RFM_NUMBERS:
            return value, exp.and_(*(compared(value, *bound) for bound in node.bounds()))
        wanted = (subject,) if subject not in (RFM_SEGMENT, RFM_SCORE) else node.in_ or (str(node.equals),)
        return value, exp.In(this=value.copy(), expressions=[exp.Literal.string(str(each)) for each in wanted])


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


def rfm_column(node: RfmCondition) -> str:
    """The column of `contact_rfm` that a condition looks at."""
    subject = str(node.rfm)
    return subject if subject in (*RFM_NUMBERS, RFM_SCORE) else "rfm_segment"


def sql(query: exp.Expr, dialect: str = DIALECT) -> str:
    """The text of a query, laid out to be read."""
    return query.sql(dialect=dialect, pretty=True, comments=False)


def distinct(conditions: Iterable[exp.Expr]) -> list[exp.Expr]:
    """Conditions of which no two read alike."""
    return list({sql(each): each for each in conditions}.values())


def _step(query: Query, name: str, step: exp.Select) -> str:
    """The name of the common table expression that is this select: of an equal one, if there is one."""
    same = next((known for known, each in query.steps.items() if each == step), None)
    if same is None:
        query.steps[name] = step
    return same or name


def _parsed(fixed: str) -> exp.Expr:
    """A tree of text that this module holds."""
    return sqlglot.parse_one(fixed, dialect=DIALECT)


def _table(name: str, alias: str) -> exp.Expr:
    return exp.to_table(name, dialect=DIALECT).as_(alias) if name != alias else exp.to_table(name, dialect=DIALECT)


def _column(table: str, name: str) -> exp.Column:
    return exp.column(name, table=table)


def _equals(column: str, value: str) -> exp.Expr:
    return exp.EQ(this=exp.column(column), expression=exp.Literal.string(value))


def _one_of(column: str, values: tuple[str, ...]) -> exp.Expr:
    if len(values) == 1:
        return _equals(column, values[0])
    return exp.In(this=exp.column(column), expressions=[exp.Literal.string(each) for each in values])


def _alive() -> exp.Expr:
    return exp.NEQ(this=exp.column("deletion"), expression=exp.Literal.string("deleted"))


def _or_zero(value: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])


def _seconds(length: timedelta) -> str:
    return f"interval '{int(length.total_seconds())}' second"
