"""What `where` asks of an event, each operator at its edges, one case a line."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from eventpipe.project.definitions import EventDefinition, GoalRule, PropertyDefinition, Registry
from eventpipe_tests.segments.one_contact import AS_OF, LONG_AGO, engine, matches, order
from eventpipe_tests.segments.reference import Contact, Event, World

PROPERTIES = {
    "text": "shoes",
    "number": 49.5,
    "digits": "50",
    "yes": True,
    "nothing": None,
    "list": ["A1", "B2", 3],
    "day": "2026-03-29",
    "instant": "2026-03-28T23:30:00Z",
    "local": "2026-03-28T23:30:00",
    "often": ["infinity", "2026-03-29"],
    "forever": "infinity",
    "epoch": "epoch",
    "now": "now",
    "compact": 20260329,
    "midnight": "2026-03-28T24:00:00Z",
    "leap": "2026-02-29",
    "blank": " 2026-03-29",
    "nan": "NaN",
    "grouped": "5,000",
    "parted": "5_000",
    "twice": "2025-10-26T02:30:00",
    "exponent": "1e3",
    "": "no name",
    "a/b~c": "slash",
    "*": "star",
}


@pytest.mark.parametrize(
    ("name", "test", "holds"),
    [
        ("text", "shoes", True),
        ("text", "Shoes", False),
        ("text", {"eq": "shoes"}, True),
        ("text", {"ne": "shoes"}, False),
        ("text", {"ne": "boots"}, True),
        ("text", ["boots", "shoes"], True),
        ("text", {"in": ["boots"]}, False),
        ("text", {"contains": "hoe"}, True),
        ("text", {"contains": "%"}, False),
        ("text", {"starts_with": "sho"}, True),
        ("text", {"starts_with": "hoes"}, False),
        ("text", {"gt": 1}, False),
        ("text", {"exists": True}, True),
        ("number", 49.5, True),
        ("number", {"gte": 49.5}, True),
        ("number", {"gt": 49.5}, False),
        ("number", {"lt": 49.6, "gt": 49.4}, True),
        ("number", {"lte": 49.4}, False),
        ("number", {"between": [49.5, 50]}, True),
        ("number", {"between": [49.6, 50]}, False),
        ("digits", {"gte": 50}, True),
        ("digits", 50, True),
        ("digits", "50", True),
        ("yes", True, True),
        ("yes", False, False),
        ("nothing", {"exists": True}, False),
        ("nothing", {"exists": False}, True),
        ("nothing", {"ne": "x"}, False),
        ("missing", {"exists": False}, True),
        ("missing", {"ne": "x"}, False),
        ("missing", {"lt": 1}, False),
        ("list", {"contains": "A1"}, True),
        ("list", {"contains": "A"}, False),
        ("list", {"contains": 3}, True),
        ("day", {"gte": "2026-03-29"}, True),
        ("day", {"gt": "2026-03-29"}, False),
        ("day", {"between": ["2026-03-01", "2026-03-29"]}, True),
        ("instant", {"gte": "2026-03-29"}, True),  # half past midnight in Berlin
        ("instant", {"lt": "2026-03-28T23:30:00.000001+00:00"}, True),
        ("instant", {"lt": "2026-03-28T23:30:00+00:00"}, False),
        # Without an offset it is Berlin's time: 22:30 of UTC, and still the 28th.
        ("local", {"lt": "2026-03-29"}, True),
        ("local", {"lte": "2026-03-28T22:30:00Z"}, True),
        ("local", {"lt": "2026-03-28T22:30:00Z"}, False),
        ("local", {"lte": "2026-03-28T23:30:00"}, True),
        ("local", {"lt": "2026-03-28T23:30:00"}, False),
        # Berlin's clock shows it twice: it is the second, that of winter, as it is of events.
        ("twice", {"between": ["2025-10-26T02:30:00", "2025-10-26T02:30:00"]}, True),
        ("twice", {"between": ["2025-10-26T01:30:00Z", "2025-10-26T01:30:00Z"]}, True),
        # A date is its first instant there.
        ("day", {"gte": "2026-03-28T23:00:00Z"}, True),
        ("day", {"gt": "2026-03-28T23:00:00Z"}, False),
        ("exponent", {"between": [1000, 1000]}, True),
        ("text", {"gt": "2026-03-29"}, False),
        ("", "no name", True),
        ("a/b~c", "slash", True),
        ("*", "star", True),
        ("*", "shoes", False),
    ],
)
def test_properties(name: str, test: Any, holds: bool) -> None:
    where = {"event": "page.seen", "where": {name: test}}
    seen = Event("one", "e1", "page.seen", AS_OF, properties=PROPERTIES)
    assert matches(where, seen, timezone="Europe/Berlin") is holds


def test_what_is_no_iso_date_and_no_number_is_not_compared() -> None:
    """Though the engine could read some of it as an instant or a number."""
    dates = ("often", "forever", "epoch", "now", "compact", "midnight", "leap", "blank")
    of_dates = ({"gte": "1900-01-01"}, {"lt": "9000-01-01"}, {"gte": "1900-01-01T00:00:00Z"})
    of_numbers = ({"gte": 0}, {"lt": 0}, {"eq": 5000})
    tests = [*product(dates, of_dates), *product(("nan", "grouped", "parted"), of_numbers)]
    any_of_them = [{"event": "page.seen", "where": {name: test}} for name, test in tests]
    seen = Event("one", "e1", "page.seen", AS_OF, properties=PROPERTIES)
    assert not matches({"any": any_of_them}, seen)


def test_where_reads_the_field_where_the_event_has_no_such_property() -> None:
    where = {"event": "order.completed", "where": {"value": {"gte": 50}}}
    assert matches(where, order(value="50"))
    assert not matches(where, order(value="49.9999"))
    assert matches(where, order(value="1", properties={"value": 50}))


@pytest.mark.parametrize(
    ("written", "test"),
    [
        ("999999999.999999999", {"lt": 1000000000}),
        ("1000000000", {"eq": 1000000000}),
        ("1000000000.000000001", {"gt": 1000000000}),
        ("-1000000000.000000001", {"lt": -1000000000}),
        ("1e12", {"eq": 1000000000000}),
    ],
)
def test_numbers_of_any_size_are_compared_exactly(written: str, test: Any) -> None:
    """The engine reads those from a billion on in another way than those below."""
    where = {"event": "page.seen", "where": {"size": test}}
    assert matches(where, Event("one", "e1", "page.seen", AS_OF, properties={"size": written}))


@pytest.mark.parametrize(
    ("value", "test", "holds"),
    [
        ("50", "50", True),
        ("50", {"eq": "50.0000"}, False),
        ("49.9", {"in": ["49.9", "60"]}, True),
        ("49.90", {"starts_with": "49.9"}, True),
        ("0", "0", True),
        ("-100", "-100", True),
        ("12345678901234.5", {"eq": 12345678901234.5}, True),
        ("12345678901234.5", {"gt": 999999999}, True),
        ("50", {"contains": "."}, False),
    ],
)
def test_an_amount_that_is_compared_as_text_is_as_one_writes_it(value: str, test: Any, holds: bool) -> None:
    where = {"event": "order.completed", "where": {"value": test}}
    assert matches(where, order(value=value)) is holds


def test_a_property_is_read_under_the_name_that_the_definition_of_its_own_event_gives_to_it() -> None:
    """Where several events count, one definition's alias is not the others' property."""
    total = PropertyDefinition(name="total", type="number", aliases=("amount",))
    plan = Registry((EventDefinition(name="order.completed", properties=(total,), goal=GoalRule(type="purchase")),))
    seen = {
        "defined": ("order.completed", {"total": 60}),
        "undefined": ("order.phoned", {"amount": 60}),
        "other total": ("order.phoned", {"amount": 40, "total": 60}),
    }
    events = [
        Event(contact, f"e{number}", name, AS_OF, "purchase", properties=properties)
        for number, (contact, (name, properties)) in enumerate(seen.items())
    ]
    engine().show(World([Contact(each, LONG_AGO) for each in seen], events, AS_OF))
    both = ["order.completed", "order.phoned"]
    for kind in ({"any_event": both}, {"goal": "purchase"}, {"goal": "any"}):
        where = {**kind, "where": {"amount": {"gte": 50}}}
        assert engine().finds(where, plan) == ["defined", "undefined"], where
        assert engine().finds_in_what_is_read(where, plan) == ["defined", "undefined"], where
    assert engine().finds({"any_event": both, "where": {"total": {"gte": 50}}}, plan) == ["defined", "other total"]


def test_a_property_that_a_source_sends_as_the_field_that_it_maps_to_is_there() -> None:
    """As the contract has it, which misses no required property whose field came by itself."""
    total = PropertyDefinition(name="total", type="number", aliases=("cart_value",), maps_to="value")
    plan = Registry((EventDefinition(name="order.completed", properties=(total,), goal=GoalRule(type="purchase")),))
    seen = {
        "by field": ("order.completed", Decimal(70), {}),
        "by property": ("order.completed", Decimal(10), {"total": 70}),
        "too little": ("order.completed", Decimal(10), {}),
        "undefined": ("order.phoned", Decimal(70), {}),
    }
    events = [
        Event(contact, f"e{number}", name, AS_OF, "purchase", value=value, properties=properties)
        for number, (contact, (name, value, properties)) in enumerate(seen.items())
    ]
    engine().show(World([Contact(each, LONG_AGO) for each in seen], events, AS_OF))
    for kind in (
        {"event": "order.completed"},
        {"any_event": ["order.completed", "order.phoned"]},
        {"goal": "purchase"},
    ):
        for name in ("total", "cart_value"):
            where = {**kind, "where": {name: {"gte": 50}}}
            assert engine().finds(where, plan) == ["by field", "by property"], where
            assert engine().finds_in_what_is_read(where, plan) == ["by field", "by property"], where


def test_all_of_where_holds_of_one_event() -> None:
    where = {"event": "order.completed", "where": {"category": "shoes", "value": {"gte": 50}}}
    shoes, dear = order(value="10", properties={"category": "shoes"}), order(value="90", number=2)
    assert not matches(where, shoes, dear)
