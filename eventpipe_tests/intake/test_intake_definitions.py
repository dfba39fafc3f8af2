"""What a definition makes of an event: names, fields, goals, types."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from eventpipe_tests.builders import (
    accepted,
    event,
    export,
    judged,
    lake_rows,
    land,
    landed,
    project,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    ORDER,
    WHOLE,
    order,
    orders,
)


def test_a_whole_order(tmp_path: Path) -> None:
    row = accepted(orders(tmp_path, order(currency="eur", placed_on="2026-01-05", gift=True, address={"city": "Bern"})))
    assert (row["order_id"], row["order_key"], row["value"], row["currency"]) == (
        "o1",
        "o1",
        Decimal("12.5"),
        "EUR",
    )
    assert (row["goal_type"], row["goal_name"]) == ("purchase", "shop")
    assert (row["coercions"], row["violations"]) == (0, None)


def test_the_version_of_the_definition_is_kept_with_every_line_that_it_judged(tmp_path: Path) -> None:
    made = project(tmp_path, events=[ORDER])
    export(made, [order(), order(items=...), event(), "broken"])
    version = made.registry.by_name["order.completed"].version
    assert landed(made)["definition_version"].to_list() == [version, version, None, None]


def test_a_definition_that_changed_does_not_judge_again_unless_it_is_asked(tmp_path: Path) -> None:
    made = project(tmp_path, events=[ORDER])
    export(made, [order(items=...)])
    before = landed(made)
    relaxed = project(tmp_path, events=[{**ORDER, "properties": ORDER["properties"][:3]}])
    assert land(relaxed)["events.jsonl"].outcome == "unchanged"
    assert lake_rows(relaxed).equals(before)
    assert land(relaxed, again=True)["events.jsonl"].outcome == "replaced"
    assert lake_rows(relaxed)["status"].to_list() == ["accepted"]


def test_an_alias_is_the_event_under_its_canonical_name(tmp_path: Path) -> None:
    sent = ["order.completed", "Order Completed", "order_completed", " Order Completed "]
    rows = orders(tmp_path, *(order() | {"event_name": name} for name in sent))
    assert rows["raw_event_name"].to_list() == sent
    assert rows.select("event_name", "goal_type").unique().rows() == [("order.completed", "purchase")]


def test_a_spelling_that_no_definition_lists_is_another_event(tmp_path: Path) -> None:
    sent = ["Order completed", "order-completed", "ORDER.COMPLETED", "ordercompleted"]
    rows = orders(tmp_path, *(order() | {"event_name": name} for name in sent))
    assert rows["event_name"].to_list() == sent
    assert rows.select("definition_version", "goal_type", "value").unique().rows() == [(None, None, None)]


def test_properties_are_kept_under_their_canonical_names(tmp_path: Path) -> None:
    row = accepted(orders(tmp_path, order(total=..., cart_value=7)))
    assert row["properties"] == {"order_id": "o1", "total": 7, "items": ["a"]}
    assert row["value"] == 7


def test_a_property_under_another_name_is_whole(tmp_path: Path) -> None:
    definition = {"name": "a", "properties": [{"name": "to", "type": "object", "aliases": ["address"]}]}
    address = {"city": None, "lines": [{"zip": None}], "of": {"x": None}}
    sent = [{"address": address, "n": 1}, {"address": address}, {"address": None, "to": address}, {"address": None}]
    rows = judged(tmp_path, *(event(event_name="a", properties=each) for each in sent), events=[definition])
    kept = [json.loads(each) for each in rows["properties"]]
    assert kept == [{"n": 1, "to": address}, {"to": address}, {"to": address}, {}]


def test_the_name_of_a_property_wins_over_its_aliases_and_an_earlier_alias_over_a_later(
    tmp_path: Path,
) -> None:
    rows = orders(tmp_path, order(total=1, amount=2, cart_value=3), order(total=None, amount=2, cart_value=3))
    assert rows["value"].to_list() == [1, 2]
    assert [json.loads(each) for each in rows["properties"]] == [WHOLE | {"total": 1}, WHOLE | {"total": 2}]


def test_a_field_that_the_event_sends_wins_over_the_property_that_maps_to_it(tmp_path: Path) -> None:
    row = accepted(
        orders(
            tmp_path,
            order(currency="EUR") | {"value": 99, "currency": "GBP", "order_id": "o9", "goal_name": "g"},
        )
    )
    assert (row["value"], row["currency"], row["order_id"], row["goal_name"]) == (99, "GBP", "o9", "g")


def test_a_required_property_is_there_where_the_field_that_it_maps_to_is(tmp_path: Path) -> None:
    row = accepted(orders(tmp_path, order(order_id=..., total=...) | {"order_id": "o9", "value": 5}))
    assert (row["order_id"], row["order_key"], row["value"]) == ("o9", "o9", 5)


def test_an_empty_field_does_not_stand_for_a_required_property(tmp_path: Path) -> None:
    rows = orders(tmp_path, order(order_id=...) | {"order_id": " "}, order(total=...) | {"value": ""})
    assert reasons(rows) == [
        ["property.required:order_id"],
        ["goal_value.required", "property.required:total"],
    ]


def test_orders_without_an_id_are_no_duplicates_of_each_other(tmp_path: Path) -> None:
    rows = orders(tmp_path, order(order_id=""), order(order_id=" "))
    assert rows["order_key"].to_list() == rows["order_id"].to_list() == [None, None]


def test_ids_that_are_numbers_and_ids_that_are_text_are_one_order(tmp_path: Path) -> None:
    rows = orders(tmp_path, order(order_id=17), order(order_id="17"), order(order_id="\t17\u00a0"))
    assert rows["order_key"].to_list() == rows["order_id"].to_list() == ["17"] * 3


def test_dedupe_on_takes_a_property_of_its_own_a_number_and_the_field_itself(tmp_path: Path) -> None:
    def keyed(name: str, on: str, *properties: object) -> dict[str, object]:
        return {"name": name, "dedupe_on": on, "properties": properties}

    definitions = [
        keyed("a", "ticket", {"name": "ticket", "type": "number"}),
        keyed("b", "order_id"),
        keyed("c", "dedupe_key"),
        keyed("d", "sum", {"name": "sum", "type": "number", "maps_to": "value"}),
    ]
    sent = {"customer_id": "c", "order_id": "o", "dedupe_key": "k", "properties": {"ticket": 7, "sum": 5}}
    rows = judged(tmp_path, *({**sent, "event_name": name} for name in "abcd"), events=definitions)
    assert reasons(rows) == [[]] * 4
    assert rows["order_key"].to_list() == ["7", "o", "k", "5"]


def test_dedupe_on_a_property_takes_the_field_that_a_source_maps_by_itself(tmp_path: Path) -> None:
    definition = {"name": "a", "dedupe_on": "order_id", "properties": [{"name": "order_id", "type": "string"}]}
    mapped = {"map": {"event_name": "name", "customer_id": "who", "order_id": "order_id"}}
    row = accepted(
        judged(tmp_path, {"name": "a", "who": "c", "order_id": "A1"}, sources={"web": mapped}, events=[definition])
    )
    assert (row["order_id"], row["order_key"]) == ("A1", "A1")


def test_a_refund_is_no_report_of_its_order(tmp_path: Path) -> None:
    rows = orders(
        tmp_path, order(order_id="o1", total=10), order(order_id="o1", total=-4), order(order_id="o1", total=0)
    )
    assert rows["order_id"].to_list() == ["o1"] * 3
    assert rows["order_key"].to_list() == ["o1", None, "o1"]


def test_properties_may_fill_every_field(tmp_path: Path) -> None:
    targets = (
        "customer_id",
        "email",
        "phone",
        "anonymous_id",
        "dedupe_key",
        "order_id",
        "goal_type",
        "goal_name",
        "currency",
    )
    properties = [{"name": f"p_{target}", "type": "string", "maps_to": target, "required": True} for target in targets]
    values = ("c9", "Ann@B.co ", "+41 79 123 45 67", "x9", "k9", "o9", "lead", "g9", "eur")
    sent = {
        "event_name": "a",
        "value": 1,
        "properties": dict(zip((p["name"] for p in properties), values, strict=True)),
    }
    row = accepted(judged(tmp_path, sent, events=[{"name": "a", "properties": properties}]))
    assert tuple(row[target] for target in targets) == (
        "c9", "ann@b.co", "+41791234567", "x9", "k9", "o9", "lead", "g9", "EUR",
    )  # fmt: skip


def test_the_goal_of_a_definition_needs_no_field_of_the_event(tmp_path: Path) -> None:
    definition = {"name": "joined", "goal": {"type": "signup"}}
    row = accepted(judged(tmp_path, event(event_name="joined"), events=[definition]))
    assert (row["goal_type"], row["goal_name"], row["value"]) == ("signup", None, None)


def test_a_goal_that_the_event_names_wins_over_that_of_the_definition(tmp_path: Path) -> None:
    assert accepted(orders(tmp_path, order() | {"goal_type": "booking"}))["goal_type"] == "booking"


def test_the_value_of_a_goal_may_be_a_property_that_maps_to_nothing(tmp_path: Path) -> None:
    definition = {
        "name": "paid",
        "properties": [{"name": "fee", "type": "number"}],
        "goal": {"type": "purchase", "value": "fee"},
    }
    assert (
        accepted(judged(tmp_path, event(event_name="paid", properties={"fee": 3}), events=[definition]))["value"] == 3
    )


COERCED: list[tuple[str, object, object]] = [
    ("total", "12.50", 12.5),
    ("total", " 7 ", 7),
    ("total", "-3e2", -300),
    ("total", "+5", 5),
    ("total", ".5", 0.5),
    ("total", "5.", 5),
    ("total", "007", 7),
    ("order_id", 17, "17"),
    ("order_id", True, "true"),
    ("gift", "True", True),
    ("gift", "false", False),
    ("items", '["a", 1]', ["a", 1]),
    ("address", '{"city": "Bern", "zip": {"code": null}}', {"city": "Bern", "zip": {"code": None}}),
]


def test_what_reads_as_the_declared_type_is_read_so_and_counted(tmp_path: Path) -> None:
    rows = orders(tmp_path, *(order(**{name: sent}) for name, sent, _ in COERCED))
    assert reasons(rows) == [[]] * len(COERCED)
    found = [json.loads(properties)[name] for (name, *_), properties in zip(COERCED, rows["properties"], strict=True)]
    assert found == [kept for *_, kept in COERCED]
    assert [type(each) is bool for each in found] == [name == "gift" for name, *_ in COERCED]
    assert rows["coercions"].to_list() == [1] * len(COERCED)


def test_coercions_of_one_event_add_up_and_a_value_sent_as_text_is_one(tmp_path: Path) -> None:
    row = accepted(orders(tmp_path, order(total="1", order_id=2, gift="true") | {"value": "9"}))
    assert row["coercions"] == 4


def test_a_value_with_nothing_in_it_is_no_coercion_and_hides_no_property(tmp_path: Path) -> None:
    rows = orders(tmp_path, order() | {"value": "\t"}, event(value=" "))
    assert reasons(rows) == [[], []]
    assert rows.select("value", "coercions").rows() == [(Decimal("12.5"), 0), (None, 0)]


def test_nothing_is_coerced_where_the_source_says_so(tmp_path: Path) -> None:
    rows = orders(
        tmp_path,
        order(total="12.50", order_id=17, gift="true", items="[]"),
        order(),
        order() | {"value": "9"},
        coerce=False,
    )
    assert reasons(rows) == [
        [
            "property.type:gift",
            "property.type:items",
            "property.type:order_id",
            "property.type:total",
            "value.invalid",
        ],
        [],
        ["value.invalid"],
    ]
