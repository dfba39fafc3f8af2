"""Conditions as a typed tree: everything that a definition can say, and nothing else.

    condition = all [condition, ...] | any [condition, ...] | not condition
              | goal | event | any_event | contact | rfm | segment

Values are checked by their types here; what needs the project (names, references between segments) or two keys at once is
checked in `eventpipe.segments.findings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from eventpipe.project.codes import Currency
from eventpipe.project.definitions import Name
from eventpipe.project.refusal import Refusal
from eventpipe.project.validation import REFUSED, Section
from eventpipe.project.vocabulary import GOAL_TYPES
from eventpipe.segments.operands import Day, DayOrInstant, Number, Numbers, NumbersOrDays, Scalar, Span, Value, Values

Aggregate = Literal["count", "orders", "sum", "avg", "min", "max"]
MONEY: Final[tuple[Aggregate, ...]] = ("sum", "avg", "min", "max")
"""Aggregates of values, which are within one currency."""

COMPARISONS: Final = ("at_least", "at_most", "more_than", "less_than", "equals", "between")


ANY_GOAL: Final = "any"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _goal(written: str) -> str:
    if written not in (*GOAL_TYPES, ANY_GOAL):
        raise Refusal("a goal type", accepted=(*GOAL_TYPES, ANY_GOAL))
    return written


def _name(written: str) -> str:
    if not _NAME.fullmatch(written):
        raise Refusal("a name of at most 64 letters, digits, _, . and - that begins with a letter or a digit")
    return written


def some(conditions: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list that is not empty."""
    if not conditions:
        raise Refusal("complete: list at least one condition")
    return conditions


DefinitionName = Annotated[str, AfterValidator(_name)]
"""What a segment or an automation may be called."""


class Operators(Section):
    """Tests of one property or trait; with several, all must hold. A value that is missing or null passes none of them
    but `exists: false`."""

    union_tag: ClassVar[str] = "#operators"

    eq: Value | None = None
    ne: Value | None = None
    in_: Values | None = Field(default=None, alias="in")
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None
    between: Values | None = None
    contains: Value | None = None
    starts_with: str | None = None
    exists: bool | None = None

    def tests(self) -> Iterator[tuple[str, Any]]:
        """(operator, value) of those that are given."""
        for name in Operators.model_fields:
            value = getattr(self, name)
            if value is not None:
                yield name.rstrip("_"), value


def _kind_of_test(test: Any) -> str:
    if isinstance(test, dict | Operators):
        return Operators.union_tag
    return "#in" if isinstance(test, list | tuple) else "#eq"


PropertyTest = Annotated[
    Annotated[Operators, Tag(Operators.union_tag)] | Annotated[Values, Tag("#in")] | Annotated[Value, Tag("#eq")],
    Discriminator(_kind_of_test),
]
Where: TypeAlias = Mapping[str, PropertyTest]


def operators_of(test: Operators | tuple[Scalar, ...] | Scalar) -> Iterator[tuple[str, Any]]:
    """A test as (operator, value): a bare value is `eq`, a list is `in`."""
    if isinstance(test, Operators):
        yield from test.tests()
    else:
        yield ("in" if isinstance(test, tuple) else "eq"), test


class Comparisons(Section):
    """What a number is held against; with several, all must hold."""

    at_least: Number | None = None
    at_most: Number | None = None
    more_than: Number | None = None
    less_than: Number | None = None
    equals: Number | None = None

    def bounds(self) -> Iterator[tuple[str, Any]]:
        """(comparison, number or numbers) of those that are given."""
        for name in COMPARISONS:
            value = getattr(self, name, None)
            if value is not None and not (name == "between" and isinstance(value[0], date)):
                yield name, value


class CountComparisons(Comparisons):
    """The same, written under `count`."""

    between: Numbers | None = None


def _comparisons(written: object) -> object:
    if isinstance(written, int | float) and not isinstance(written, bool):
        raise Refusal(f"a comparison: write {{at_least: {written}}} or {{equals: {written}}}")
    return written


class OfEvents(Comparisons):
    """What conditions on goals and on events share. `between` compares when it holds numbers, and says when if dates."""

    where: Where = Field(default_factory=dict)
    first: bool = False
    last: bool = False
    between: NumbersOrDays | None = None
    in_last: Span | None = None
    before: DayOrInstant | None = None
    after: DayOrInstant | None = None

    @property
    def dates(self) -> tuple[Day, Day] | None:
        """The days of `between`, where it holds days."""
        if self.between is None:
            return None
        first, last = self.between
        return (first, last) if isinstance(first, date) and isinstance(last, date) else None


class GoalCondition(OfEvents):
    """An aggregate over a contact's goals of a type."""

    union_tag: ClassVar[str] = "#goal"

    goal: Annotated[str, AfterValidator(_goal)]
    goal_name: Name | None = None
    currency: Currency | None = None
    event: Name | None = None
    aggregate: Aggregate = "count"

    @property
    def names(self) -> tuple[str, ...]:
        """The event's name as written, where it is about goals that one event set."""
        return () if self.event is None else (self.event,)

    def asked_in(self, currency: str) -> str | None:
        """The one currency that it looks at, `currency` where it leaves that open; None where it looks at all of them."""
        return self.currency or (currency if self.aggregate in MONEY else None)


class Without(Section):
    """No such event after (or before) the counted one, at all or within a span of it."""

    event: Name
    after: Literal["it"] | None = None
    before: Literal["it"] | None = None
    within: Span | None = None


class EventCondition(OfEvents):
    """How many events of a name, or of any of several names, a contact has."""

    union_tag: ClassVar[str] = "#event"

    event: Name | None = None
    any_event: Annotated[tuple[Name, ...], AfterValidator(some)] | None = None
    aggregate: Literal["count"] = "count"
    count: Annotated[CountComparisons | None, BeforeValidator(_comparisons)] = None
    without: Without | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The events' names as written."""
        return (self.event,) if self.event is not None else self.any_event or ()


class ContactCondition(Operators):
    """A property of the contact: age, is_anonymous, an identifier, a trait."""

    union_tag: ClassVar[str] = "#contact"

    contact: Annotated[str, Field(min_length=1, max_length=200)]
    at_least: Value | None = None
    at_most: Value | None = None
    more_than: Value | None = None
    less_than: Value | None = None
    equals: Value | None = None

    def comparisons(self) -> Iterator[tuple[str, Any]]:
        """(comparison, value) of those that are given; `between` is among the tests."""
        for name in COMPARISONS:
            value = getattr(self, name)
            if name != "between" and value is not None:
                yield name, value


class RfmCondition(Comparisons):
    """A score or measure of `contact_rfm`, or the name of an RFM segment."""

    union_tag: ClassVar[str] = "#rfm"

    rfm: Value
    currency: Currency | None = None
    equals: Value | None = None  # type: ignore[assignment]  # a segment's name or a score like '555', too
    between: NumbersOrDays | None = None
    in_: Values | None = Field(default=None, alias="in")

    def asked_in(self, currency: str) -> str:
        """The one currency that it looks at, `currency` where it leaves that open."""
        return self.currency or currency


class SegmentCondition(Section):
    """Membership of another segment."""

    union_tag: ClassVar[str] = "#segment"

    segment: Name


class All(Section):
    """Every condition holds."""

    union_tag: ClassVar[str] = "#all"

    all: Annotated[tuple[Condition, ...], AfterValidator(some)]


class AnyOf(Section):
    """At least one condition holds."""

    union_tag: ClassVar[str] = "#any"

    any: Annotated[tuple[Condition, ...], AfterValidator(some)]


class Not(Section):
    """The condition does not hold: exactly its complement."""

    union_tag: ClassVar[str] = "#not"

    not_: Condition = Field(alias="not")


_KINDS: Final = ("all", "any", "not", "goal", "any_event", "event", "contact", "rfm", "segment")


def _kind_of_condition(condition: Any) -> str | None:
    if isinstance(condition, dict):
        # `event` can also stand beside `goal`, hence the order.
        found = next((kind for kind in _KINDS if kind in condition), None)
        return None if found is None else f"#{found.removeprefix('any_')}"
    return getattr(condition, "union_tag", None)


Leaf: TypeAlias = GoalCondition | EventCondition | ContactCondition | RfmCondition | SegmentCondition

Condition = Annotated[
    Annotated[All, Tag(All.union_tag)]
    | Annotated[AnyOf, Tag(AnyOf.union_tag)]
    | Annotated[Not, Tag(Not.union_tag)]
    | Annotated[GoalCondition, Tag(GoalCondition.union_tag)]
    | Annotated[EventCondition, Tag(EventCondition.union_tag)]
    | Annotated[ContactCondition, Tag(ContactCondition.union_tag)]
    | Annotated[RfmCondition, Tag(RfmCondition.union_tag)]
    | Annotated[SegmentCondition, Tag(SegmentCondition.union_tag)],
    Discriminator(
        _kind_of_condition,
        custom_error_type=REFUSED,
        custom_error_message="no condition",
        custom_error_context={"expected": "a condition: begin with one of " + ", ".join(_KINDS)},
    ),
]
Node: TypeAlias = All | AnyOf | Not | Leaf

for _model in (All, AnyOf, Not):
    _model.model_rebuild()


class Segment(Section):
    """One definition."""

    name: DefinitionName
    description: str = ""
    where: Condition


class SegmentFile(Section):
    """One file of segments/."""

    segments: tuple[Segment, ...] = ()


def leaves(node: Node) -> Iterator[Leaf]:
    """The conditions of a tree that have none below them, in the order they are written."""
    if isinstance(node, All | AnyOf):
        for each in node.all if isinstance(node, All) else node.any:
            yield from leaves(each)
    elif isinstance(node, Not):
        yield from leaves(node.not_)
    else:
        yield node
