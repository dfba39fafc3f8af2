"""Every reason to reject a line."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from eventpipe_tests.builders import (
    event,
    judged,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    ORDER,
    order,
    orders,
)

CASES: dict[str, tuple[dict[str, object] | str, list[str]]] = {
    "name missing": (event(event_name=None), ["event_name.missing"]),
    "name empty": (event(event_name="  "), ["event_name.missing"]),
    "name too long": (event(event_name="x" * 101), ["event_name.length"]),
    "required property absent": (order(items=...), ["property.required:items"]),
    "required property null": (order(items=None), ["property.required:items"]),
    "no properties at all": (
        event(event_name="order.completed"),
        ["goal_value.required", *(f"property.required:{name}" for name in ("items", "order_id", "total"))],
    ),
    "array for a string": (order(order_id=["o"]), ["property.type:order_id"]),
    "object for a number": (order(total={"n": 1}), ["property.type:total", "value.invalid"]),
    "words for a number": (order(total="n/a"), ["property.type:total", "value.invalid"]),
    "a comma for a number": (order(total="12,50"), ["property.type:total", "value.invalid"]),
    "infinity for a number": (order(total="Infinity"), ["property.type:total", "value.invalid"]),
    "a number beyond any": (
        '{"event_name": "order.completed", "customer_id": "c",'
        ' "properties": {"order_id": "o", "total": 1e999, "items": []}}',
        ["property.type:total", "value.invalid"],
    ),
    "a number beyond money": (order(total=1e20), ["value.invalid"]),
    "text for an array": (order(items="a, b"), ["property.type:items"]),
    "no JSON for an array": (order(items="[1, ]"), ["property.type:items"]),
    "no JSON for an object": (order(address='{"n": NaN}'), ["property.type:address"]),
    "object for an array": (order(items={}), ["property.type:items"]),
    "number for a boolean": (order(gift=1), ["property.type:gift"]),
    "yes for a boolean": (order(gift="yes"), ["property.type:gift"]),
    "number for a date": (order(placed_on=20260105), ["property.type:placed_on"]),
    "no day of the calendar": (order(placed_on="2026-02-30"), ["property.type:placed_on"]),
    "another spelling of a day": (order(placed_on="05.01.2026"), ["property.type:placed_on"]),
    "text for an object": (order(address="Bern"), ["property.type:address"]),
    "nobody": (event(customer_id=None), ["identifier.missing"]),
    "nobody usable": (event(customer_id="guest", email="not an address"), ["identifier.missing"]),
    "goal type unknown": (event(goal_type="sale"), ["goal_type.unknown"]),
    "goal type in capitals": (event(goal_type="Purchase", value=1), ["goal_type.unknown"]),
    "purchase without value": (event(goal_type="purchase"), ["goal_value.required"]),
    "subscription without value": (event(goal_type="subscription", value=""), ["goal_value.required"]),
    "value invalid": (event(value="n/a"), ["value.invalid"]),
    "value invalid for a goal": (event(value="n/a", goal_type="purchase"), ["value.invalid"]),
    "currency invalid": (event(currency="US$"), ["currency.invalid"]),
    "currency invalid in a property": (order(currency="XXQ"), ["currency.invalid"]),
    "time invalid": (event(occurred_at="yesterday"), ["occurred_at.invalid"]),
    "time out of range": (event(occurred_at="2036-01-05T10:00:00Z"), ["occurred_at.range"]),
    "everything at once": (
        {
            "event_name": "order.completed",
            "occurred_at": "soon",
            "value": "x",
            "currency": "?",
            "goal_type": "?",
            "properties": {"items": 5, "gift": 5},
        },
        [
            "currency.invalid",
            "goal_type.unknown",
            "identifier.missing",
            "occurred_at.invalid",
            "property.required:order_id",
            "property.type:gift",
            "property.type:items",
            "value.invalid",
        ],
    ),
    "fine: a date with a time": (order(placed_on="2026-01-05T10:00:00Z"), []),
    "fine: null for what is not required": (order(currency=None, gift=None, placed_on=None), []),
    "fine: a refund below zero": (order(total=-5), []),
    "fine: zero": (event(goal_type="purchase", value=0), []),
    "fine: a lead without value": (event(goal_type="lead"), []),
    "fine: a property that nobody declared": (order(colour="red"), []),
}


@pytest.fixture(scope="module")
def rows_of_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The reasons of each of CASES, landed together."""
    rows = orders(tmp_path_factory.mktemp("cases"), *(record for record, _ in CASES.values()))
    return dict(zip(CASES, reasons(rows), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_every_reason_that_applies_is_listed(case: str, rows_of_cases: dict[str, list[str]]) -> None:
    assert rows_of_cases[case] == CASES[case][1]


def test_a_closed_registry_takes_the_defined_events_their_aliases_and_who_is_who(tmp_path: Path) -> None:
    records = [
        order(),
        order() | {"event_name": "Order Completed"},
        event(),
        event(kind="identify", event_name=None),
        event(event_name=""),
    ]
    rows = orders(tmp_path, *records, registry="closed")
    assert reasons(rows) == [[], [], ["event_name.unknown"], [], ["event_name.missing"]]


def test_unknown_properties_are_rejected_where_the_definition_says_so(tmp_path: Path) -> None:
    rows = orders(
        tmp_path,
        order(amount=5, gift=None),
        order(colour="red", size=None, **{"it's": 1, 'q"': 2}),
        definition={"unknown_properties": "reject"},
    )
    assert reasons(rows)[0] == []
    unknown = ["colour", "it's", 'q"', "size"]
    assert reasons(rows)[1] == sorted(f"property.unknown:{name}" for name in unknown)


def test_a_property_that_nobody_knows_is_one_reason_though_it_is_given_twice(tmp_path: Path) -> None:
    source = {"map": {"event_name": {"value": "a"}, "customer_id": "c"}}
    definition = {"name": "a", "unknown_properties": "reject"}
    rows = judged(tmp_path, '{"c": "1", "x": 1, "x": 2}', sources={"web": source}, events=[definition])
    assert reasons(rows) == [["property.unknown:x"]]


def test_a_definition_without_properties_may_reject_all(tmp_path: Path) -> None:
    definition = {"name": "a", "unknown_properties": "reject"}
    rows = judged(tmp_path, event(event_name="a"), event(event_name="a", properties={"x": 1}), events=[definition])
    assert reasons(rows) == [[], ["property.unknown:x"]]


def test_a_definition_that_observes_accepts_and_lists_what_it_would_reject_for(tmp_path: Path) -> None:
    records = [
        order(),
        order(items=..., gift=5),
        order(total="n/a"),
        order(total=..., currency="?"),
        order() | {"value": "n/a"},
    ]
    rows = orders(tmp_path, *records, definition={"mode": "observe"})
    assert reasons(rows) == [[], [], [], [], ["value.invalid"]]
    assert [sorted(each or []) for each in rows["violations"].to_list()] == [
        [],
        ["property.required:items", "property.type:gift"],
        ["property.type:total", "value.invalid"],
        ["currency.invalid", "goal_value.required", "property.required:total"],
        [],
    ]
    assert rows["value"].to_list()[:4] == [Decimal("12.5"), Decimal("12.5"), None, None]


def test_what_an_observed_event_lacks_beside_its_definition_still_rejects_it(tmp_path: Path) -> None:
    rows = orders(tmp_path, event(event_name="order.completed", customer_id=None), definition={"mode": "observe"})
    assert reasons(rows) == [["identifier.missing"]]


def test_what_a_mapping_cannot_compute_rejects_an_observed_event_too(tmp_path: Path) -> None:
    source = {
        "map": {
            "event_name": {"value": "order.completed"},
            "customer_id": "c",
            "value": {"sql": "cast(cents as decimal(18,4)) * 0.01"},
            "currency": {"sql": "strftime(cast(day as date), 'EUR')"},
        }
    }
    records = [{"c": "1", "cents": 5, "day": "2026-01-05"}, {"c": "1", "cents": "x", "day": "no"}]
    rows = judged(tmp_path, *records, sources={"web": source}, events=[{**ORDER, "mode": "observe"}])
    assert reasons(rows) == [[], ["currency.invalid", "value.invalid"]]


def test_a_deleted_event_need_not_be_whole(tmp_path: Path) -> None:
    gone = {"event_name": "order.completed", "customer_id": "c", "deleted_at": "2026-01-05T12:00:00Z"}
    rows = orders(
        tmp_path,
        gone,
        gone | {"properties": {"total": "n/a", "gift": 7}, "value": 1},
        gone | {"properties": {"total": "n/a", "currency": "?"}},
        gone | {"value": "n/a", "currency": "?"},
        gone | {"deleted_at": None},
    )
    assert reasons(rows)[:4] == [[], [], [], ["currency.invalid", "value.invalid"]]
    assert reasons(rows)[4] == [
        "goal_value.required",
        *(f"property.required:{name}" for name in ("items", "order_id", "total")),
    ]


def test_a_rejected_line_is_no_event(tmp_path: Path) -> None:
    rows = orders(tmp_path, order(items=...))
    assert rows.select("event_id", "order_key", "goal_type", "properties").row(0) == (None,) * 4
    assert json.loads(rows["raw"][0]) == order(items=...)
