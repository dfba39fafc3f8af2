"""Each operator, aggregate and timeframe at its edges, one case a line."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from eventpipe_tests.segments.one_contact import AS_OF, at, matches, order
from eventpipe_tests.segments.reference import Definition, Event

TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("age", "holds"),
    [
        (timedelta(0), True),
        (timedelta(days=30) - TICK, True),
        (timedelta(days=30), False),
        (timedelta(days=30) + TICK, False),
    ],
)
def test_in_last_30_days_begins_after_the_instant_30_days_ago(age: timedelta, holds: bool) -> None:
    assert matches({"goal": "purchase", "in_last": "30d"}, order(AS_OF - age)) is holds


@pytest.mark.parametrize(
    ("written", "length"), [("2h", timedelta(hours=2)), ("3d", timedelta(3)), ("2w", timedelta(14))]
)
def test_spans_of_time(written: str, length: timedelta) -> None:
    assert matches({"event": "order.completed", "in_last": written}, order(AS_OF - length + TICK))
    assert not matches({"event": "order.completed", "in_last": written}, order(AS_OF - length))


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin"])
def test_a_day_of_in_last_has_24_hours_also_where_the_clock_changes(timezone: str) -> None:
    """Berlin's did on 29 March: four days before noon of UTC is the 28th, one o'clock there."""
    assert matches(
        {"goal": "purchase", "in_last": "4d"}, order(at("2026-03-28T12:00:00.000001+00:00")), timezone=timezone
    )
    assert not matches({"goal": "purchase", "in_last": "4d"}, order(at("2026-03-28T12:00:00+00:00")), timezone=timezone)


@pytest.mark.parametrize(
    ("when", "timezone", "holds"),
    [
        ("2026-02-28T23:59:59.999999+00:00", "UTC", False),
        ("2026-03-01T00:00:00+00:00", "UTC", True),
        ("2026-03-29T23:59:59.999999+00:00", "UTC", True),
        ("2026-03-30T00:00:00+00:00", "UTC", False),
        # Berlin's clock goes from 2 to 3 on that last day: it has 23 hours.
        ("2026-02-28T23:00:00+00:00", "Europe/Berlin", True),
        ("2026-02-28T22:59:59.999999+00:00", "Europe/Berlin", False),
        ("2026-03-29T21:59:59.999999+00:00", "Europe/Berlin", True),
        ("2026-03-29T22:00:00+00:00", "Europe/Berlin", False),
        ("2026-03-01T04:59:59.999999+00:00", "America/New_York", False),
        ("2026-03-30T03:59:59.999999+00:00", "America/New_York", True),
        ("2026-03-30T04:00:00+00:00", "America/New_York", False),
    ],
)
def test_between_takes_the_whole_last_day_of_the_projects_timezone(when: str, timezone: str, holds: bool) -> None:
    where = {"goal": "purchase", "between": ["2026-03-01", "2026-03-29"]}
    assert matches(where, order(at(when)), timezone=timezone) is holds


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("2025-10-25T21:59:59.999999+00:00", False),
        ("2025-10-25T22:00:00+00:00", True),
        ("2025-10-26T22:59:59.999999+00:00", True),
        ("2025-10-26T23:00:00+00:00", False),
    ],
)
def test_a_day_of_25_hours_is_taken_whole(when: str, holds: bool) -> None:
    """Berlin's clock goes back from 3 to 2."""
    where = {"goal": "purchase", "between": ["2025-10-26", "2025-10-26"]}
    assert matches(where, order(at(when)), timezone="Europe/Berlin") is holds


def test_between_two_instants_takes_both() -> None:
    where = {"goal": "purchase", "between": ["2026-03-01T00:00:00+00:00", "2026-03-29T12:00:00+00:00"]}
    for when, holds in (
        ("2026-02-28T23:59:59.999999+00:00", False),
        ("2026-03-01T00:00:00+00:00", True),
        ("2026-03-29T12:00:00+00:00", True),
        ("2026-03-29T12:00:00.000001+00:00", False),
    ):
        assert matches(where, order(at(when))) is holds, when


def test_an_instant_without_an_offset_is_in_the_projects_timezone() -> None:
    where = {"goal": "purchase", "before": "2026-03-28T12:00:00"}
    noon = at("2026-03-28T12:00:00+01:00")
    for when, is_before in ((noon - TICK, True), (noon, False)):
        assert matches(where, order(when), timezone="Europe/Berlin") is is_before


def test_a_day_that_begins_at_one_o_clock() -> None:
    """In Beirut the clock leaps over midnight: there is no 2025-03-30T00:30."""
    where = {"goal": "purchase", "between": ["2025-03-30", "2025-03-30"]}
    assert matches(where, order(at("2025-03-29T22:00:00+00:00")), timezone="Asia/Beirut")
    assert not matches(where, order(at("2025-03-29T21:59:59.999999+00:00")), timezone="Asia/Beirut")


@pytest.mark.parametrize("day", ["2026-03-29", "2026-03-29T00:00:00+00:00"])
def test_before_and_after_share_no_instant_and_leave_none_out(day: str) -> None:
    midnight = at("2026-03-29T00:00:00+00:00")
    for when, is_before in ((midnight - TICK, True), (midnight, False), (midnight + TICK, False)):
        assert matches({"goal": "purchase", "before": day}, order(when)) is is_before
        assert matches({"goal": "purchase", "after": day}, order(when)) is not is_before


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"aggregate": "count", "at_most": 0}, True),
        ({"aggregate": "count", "equals": 0}, True),
        ({"aggregate": "orders", "less_than": 1}, True),
        ({"aggregate": "sum", "at_most": 0}, True),
        ({"aggregate": "sum", "between": [0, 1]}, True),
        ({"aggregate": "count", "at_least": 0}, True),
        ({}, False),
        ({"aggregate": "avg", "at_most": 1000}, False),
        ({"aggregate": "min", "at_least": -1000}, False),
        ({"aggregate": "max", "equals": 0}, False),
    ],
)
def test_without_an_event_count_and_sum_are_0_and_the_others_nothing(where: Definition, holds: bool) -> None:
    assert matches({"goal": "purchase", **where}) is holds
    assert matches({"goal": "purchase", **where}, order(deletion="deleted")) is holds


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"aggregate": "count", "equals": 2}, True),
        ({"aggregate": "sum", "equals": 0}, True),
        ({"aggregate": "avg", "at_most": 1000}, False),
        ({"aggregate": "min", "at_most": 1000}, False),
    ],
)
def test_values_that_are_null_count_as_events_and_as_nothing_else(where: Definition, holds: bool) -> None:
    events = [order(value=None), order(value=None, number=2)]
    assert matches({"goal": "purchase", **where}, *events) is holds


def test_null_values_are_left_out_of_the_mean() -> None:
    events = [order(value="10"), order(value=None, number=2), order(value="20", number=3)]
    assert matches({"goal": "purchase", "aggregate": "avg", "equals": 15}, *events)


@pytest.mark.parametrize(
    ("values", "mean"), [(("10", "10", "10.0001"), 10), (("10", "10.0001"), 10.0001), (("-10", "-10.0001"), -10.0001)]
)
def test_a_mean_is_rounded_half_away_from_zero_to_four_places(values: tuple[str, ...], mean: float) -> None:
    events = [order(value=value, number=number) for number, value in enumerate(values)]
    assert matches({"goal": "purchase", "aggregate": "avg", "equals": mean}, *events)


def test_a_refund_takes_the_sum_to_zero_and_leaves_the_order() -> None:
    events = [order(value="50", order_id="o1"), order(value="-50", number=2, order_id="o1")]
    assert matches({"goal": "purchase", "aggregate": "sum", "equals": 0}, *events)
    assert matches({"goal": "purchase", "aggregate": "orders", "equals": 1}, *events)
    assert matches({"goal": "purchase", "aggregate": "count", "equals": 2}, *events)
    assert matches({"goal": "purchase", "aggregate": "min", "equals": -50}, *events)


def test_money_is_of_one_currency_and_counts_are_of_all() -> None:
    events = [order(value="50"), order(value="70", number=2, currency="EUR")]
    assert matches({"goal": "purchase", "aggregate": "sum", "equals": 50}, *events)
    assert matches({"goal": "purchase", "aggregate": "sum", "equals": 70, "currency": "EUR"}, *events)
    assert matches({"goal": "purchase", "aggregate": "sum", "equals": 0, "currency": "JPY"}, *events)
    assert matches({"goal": "purchase", "aggregate": "count", "equals": 2}, *events)
    assert matches({"goal": "purchase", "aggregate": "count", "equals": 1, "currency": "EUR"}, *events)


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        ({"at_least": 10}, True),
        ({"at_least": 10.0001}, False),
        ({"at_most": 10}, True),
        ({"at_most": 9.9999}, False),
        ({"more_than": 10}, False),
        ({"more_than": 9.9999}, True),
        ({"less_than": 10}, False),
        ({"less_than": 10.0001}, True),
        ({"equals": 10}, True),
        ({"equals": 10.0001}, False),
        ({"between": [10, 10]}, True),
        ({"between": [10.0001, 11]}, False),
        ({"between": [9, 9.9999]}, False),
        ({"at_least": 5, "less_than": 10}, False),
    ],
)
def test_comparisons(bound: Definition, holds: bool) -> None:
    assert matches({"goal": "purchase", "aggregate": "sum", **bound}, order(value="10")) is holds


def test_goals_by_type_name_and_event() -> None:
    lead = Event("one", "e9", "form.sent", AS_OF, "lead", "spring")
    assert matches({"goal": "any"}, lead)
    assert not matches({"goal": "purchase"}, lead)
    assert matches({"goal": "lead", "goal_name": "spring"}, lead)
    assert not matches({"goal": "lead", "goal_name": "autumn"}, lead)
    assert matches({"goal": "lead", "event": "form.sent"}, lead)
    assert not matches({"goal": "any", "event": "order.completed"}, lead)
    assert not matches({"goal": "any"}, Event("one", "e1", "page.seen", AS_OF))


def checkout(when: datetime, number: int = 9) -> Event:
    return Event("one", f"e{number}", "checkout", when)


NOON = at("2026-04-01T11:00:00+00:00")


@pytest.mark.parametrize(
    ("without", "ordered", "holds"),
    [
        ({"after": "it"}, TICK, False),
        ({"after": "it"}, timedelta(0), True),
        ({"after": "it"}, -TICK, True),
        ({"before": "it"}, TICK, True),
        ({"before": "it"}, timedelta(0), True),
        ({"before": "it"}, -TICK, False),
        ({"after": "it", "within": "1h"}, timedelta(hours=1), False),
        ({"after": "it", "within": "1h"}, timedelta(hours=1) + TICK, True),
        ({"before": "it", "within": "1h"}, -timedelta(hours=1), False),
        ({"before": "it", "within": "1h"}, -timedelta(hours=1) - TICK, True),
    ],
)
def test_without(without: Definition, ordered: timedelta, holds: bool) -> None:
    where = {"event": "checkout", "without": {"event": "order.completed", **without}}
    assert (
        matches(where, checkout(NOON - timedelta(minutes=30)), order(NOON - timedelta(minutes=30) + ordered)) is holds
    )


@pytest.mark.parametrize(
    ("without", "ordered", "holds"),
    [
        # Before the window began, and before or after the checkout that is in it.
        ({"before": "it"}, -timedelta(days=9), False),
        ({"before": "it", "within": "1w"}, -timedelta(days=9), True),
        ({"before": "it", "within": "1w"}, -timedelta(days=7), False),
        ({"after": "it"}, timedelta(minutes=10), False),
        ({"after": "it"}, -timedelta(days=9), True),
    ],
)
def test_what_a_checkout_is_without_may_lie_outside_the_window(
    without: Definition, ordered: timedelta, holds: bool
) -> None:
    where = {"event": "checkout", "in_last": "1d", "without": {"event": "order.completed", **without}}
    assert matches(where, checkout(NOON), order(NOON + ordered)) is holds
    old = checkout(AS_OF - timedelta(days=1))
    assert not matches(where, old), "a checkout exactly as old as the window is not in it"


def test_what_comes_right_after_the_first_checkout_of_a_window_counts() -> None:
    where = {"event": "checkout", "in_last": "1d", "without": {"event": "order.completed", "after": "it"}}
    began = AS_OF - timedelta(days=1)
    assert not matches(where, checkout(began + TICK), order(began + 2 * TICK))
    assert matches(where, checkout(began + 2 * TICK), order(began + TICK))


def test_a_sequence_of_one_event_and_itself() -> None:
    """The last checkout has none after it, the first none before it."""
    several = [checkout(NOON + number * TICK, number) for number in range(3)]
    for side in ("after", "before"):
        assert matches({"event": "checkout", "equals": 1, "without": {"event": "checkout", side: "it"}}, *several)


def test_one_checkout_of_several_without_an_order_is_enough() -> None:
    where = {"event": "checkout", "without": {"event": "order.completed", "after": "it"}}
    assert matches(where, checkout(NOON, 1), order(NOON + TICK, number=2), checkout(NOON + 2 * TICK, 3))
    assert not matches(
        {**where, "at_least": 2}, checkout(NOON, 1), order(NOON + TICK, number=2), checkout(NOON + 2 * TICK, 3)
    )


def test_an_order_that_was_deleted_suppresses_nothing() -> None:
    where = {"event": "checkout", "without": {"event": "order.completed", "after": "it"}}
    assert matches(where, checkout(NOON), order(NOON + TICK, deletion="deleted"))


def test_the_first_event_is_the_first_of_all_not_of_those_that_fit() -> None:
    where = {"goal": "purchase", "first": True, "aggregate": "sum", "more_than": 200, "in_last": "30d"}
    old, new = order(AS_OF - timedelta(days=31), "300"), order(AS_OF - timedelta(days=3), "300", 2)
    assert matches(where, new)
    assert not matches(where, old, new)
    assert not matches(where, order(AS_OF - timedelta(days=4), "200"), new)


def test_of_events_at_one_instant_the_first_is_that_with_the_lowest_id() -> None:
    where = {"goal": "purchase", "first": True, "aggregate": "sum", "equals": 1}
    assert matches(where, order(value="1", number=1), order(value="2", number=2))
    assert not matches({**where, "first": False, "last": True}, order(value="1", number=1), order(value="2", number=2))


@pytest.mark.parametrize(
    ("where", "age", "holds"),
    [
        ({"at_least": "90d"}, timedelta(days=90), True),
        ({"at_least": "90d"}, timedelta(days=90) - TICK, False),
        ({"more_than": "90d"}, timedelta(days=90), False),
        ({"at_most": "90d"}, timedelta(days=90), True),
        ({"less_than": "90d"}, timedelta(days=90), False),
        ({"between": ["1d", "90d"]}, timedelta(days=90), True),
        ({"between": ["1d", "90d"]}, timedelta(days=90) + TICK, False),
    ],
)
def test_age(where: Definition, age: timedelta, holds: bool) -> None:
    assert matches({"contact": "age", **where}, first_seen_at=AS_OF - age) is holds


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"contact": "is_anonymous"}, False),
        ({"contact": "is_anonymous", "equals": False}, True),
        ({"contact": "email"}, True),
        ({"contact": "email", "exists": False}, False),
        ({"contact": "email", "contains": "@example.com"}, True),
        ({"contact": "phone"}, False),
        ({"contact": "anonymous_id"}, True),
        ({"contact": "customer_id", "exists": False}, True),
        ({"contact": "plan", "equals": "pro"}, True),
        ({"contact": "traits.plan", "in": ["pro", "team"]}, True),
        ({"contact": "traits.email", "exists": True}, False),
        ({"contact": "seats", "at_least": 3}, True),
        ({"contact": "seats", "more_than": 3}, False),
        ({"contact": "since", "at_least": "2026-01-01"}, True),
        ({"contact": "nothing"}, False),
    ],
)
def test_contacts(where: Definition, holds: bool) -> None:
    assert (
        matches(
            where,
            email="ada@example.com",
            traits={"plan": "pro", "seats": 3, "since": "2026-01-01"},
            identifiers=frozenset({"email", "anonymous_id"}),
        )
        is holds
    )


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"rfm": "Can't Lose Them"}, True),
        ({"rfm": "Champions"}, False),
        ({"rfm": "Champions", "currency": "EUR"}, True),
        ({"rfm": "Champions", "currency": "JPY"}, False),
        ({"rfm": "segment", "in": ["Lost", "Can't Lose Them"]}, True),
        ({"rfm": "rfm_score", "equals": 145}, True),
        ({"rfm": "rfm_score", "in": ["145", "555"]}, True),
        ({"rfm": "r_score", "at_most": 1}, True),
        ({"rfm": "r_score", "more_than": 1}, False),
        ({"rfm": "r_score", "at_least": 4, "currency": "EUR"}, True),
        ({"rfm": "monetary", "between": [99.5, 99.5]}, True),
    ],
)
def test_rfm_is_that_of_one_currency(where: Definition, holds: bool) -> None:
    """Who has no row in it matches nothing, and the complement of everything."""
    dollars = {"rfm_segment": "Can't Lose Them", "rfm_score": "145", "r_score": 1, "monetary": Decimal("99.5")}
    euros = {"rfm_segment": "Champions", "rfm_score": "555", "r_score": 5, "monetary": Decimal(10)}
    assert matches(where, rfm={"USD": dollars, "EUR": euros}) is holds
