"""The row contract: what definitions make of events, and every reason to reject one (spec 1, section 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from eventpipe.project.folder import load_project
from eventpipe_tests.builders import (
    accepted,
    event,
    export,
    judged,
    lake_rows,
    land,
    landed,
    ledger,
    project,
    reasons,
)

ORDER: dict[str, Any] = {
    "name": "order.completed",
    "aliases": ["Order Completed", "order_completed"],
    "properties": [
        {"name": "order_id", "type": "string", "required": True, "maps_to": "order_id"},
        {
            "name": "total",
            "type": "number",
            "required": True,
            "maps_to": "value",
            "aliases": ["amount", "cart_value"],
        },
        {"name": "currency", "type": "string", "maps_to": "currency"},
        {"name": "items", "type": "array", "required": True},
        {"name": "placed_on", "type": "date"},
        {"name": "gift", "type": "boolean"},
        {"name": "address", "type": "object"},
    ],
    "goal": {"type": "purchase", "value": "total", "name": "shop"},
    "dedupe_on": "order_id",
}
WHOLE: dict[str, Any] = {"order_id": "o1", "total": 12.5, "items": ["a"]}


def order(**properties: object) -> dict[str, object]:
    """An order that nothing is wrong with; a property given as `...` is left out."""
    kept = {name: value for name, value in (WHOLE | properties).items() if value is not ...}
    return event(event_name="order.completed", properties=kept)


def orders(folder: Path, *records: object, definition: Mapping[str, object] = {}, **source: object) -> pl.DataFrame:
    return judged(
        folder, *records, sources={"web": {"preset": "canonical", **source}}, events=[{**ORDER, **definition}]
    )


# --- what a definition makes of an event ---


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
    rows = orders(tmp_path, order(order_id=17), order(order_id="17"), order(order_id=" 17 "))
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


# --- coercion ---


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
    ("address", '{"city": "Bern"}', {"city": "Bern"}),
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


# --- reasons ---

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


def test_a_deleted_event_need_not_be_whole(tmp_path: Path) -> None:
    gone = {"event_name": "order.completed", "customer_id": "c", "deleted_at": "2026-01-05T12:00:00Z"}
    rows = orders(
        tmp_path,
        gone,
        gone | {"properties": {"total": "n/a", "gift": 7}, "value": 1},
        gone | {"deleted_at": None},
    )
    assert reasons(rows)[:2] == [[], []]
    assert reasons(rows)[2] == [
        "goal_value.required",
        *(f"property.required:{name}" for name in ("items", "order_id", "total")),
    ]


def test_a_rejected_line_is_no_event(tmp_path: Path) -> None:
    rows = orders(tmp_path, order(items=...))
    assert rows.select("event_id", "order_key", "goal_type", "properties").row(0) == (None,) * 4
    assert json.loads(rows["raw"][0]) == order(items=...)


# --- too many names ---


def test_more_event_names_than_the_limit_are_rejected_from_the_line_on_that_brings_the_next(
    tmp_path: Path,
) -> None:
    names = ["b", "a", "order.completed", "b", "c", "", "d", "a", "c"]
    records = [order() if name == "order.completed" else event(event_name=name) for name in names]
    rows = judged(tmp_path, *records, events=[ORDER], limits={"event_names": 2})
    over, missing = ["cardinality.exceeded"], ["event_name.missing"]
    assert reasons(rows) == [[], [], [], [], over, missing, over, [], over]
    assert rows.filter(status="rejected")["raw"].null_count() == 0


def test_names_that_only_rejected_lines_bring_do_not_count(tmp_path: Path) -> None:
    records = [event(event_name="bad", customer_id=None), event(event_name="a"), event(event_name="b")]
    assert reasons(judged(tmp_path, *records, limits={"event_names": 2})) == [["identifier.missing"], [], []]


def test_more_property_names_than_the_limit_are_rejected_alike(tmp_path: Path) -> None:
    records = [
        event(properties=each) for each in ({"a": 1}, {"b": 1, "a": 2}, {"c": 1}, {"a": 1, "c": 2}, {"b": None}, {})
    ]
    rows = judged(tmp_path, *records, order(), events=[ORDER], limits={"property_names": 2})
    over = ["cardinality.exceeded"]
    assert reasons(rows) == [[], [], over, over, [], [], []]


def test_the_limit_of_names_counts_events_of_one_line_apart(tmp_path: Path) -> None:
    body = {"events": [event(event_name=name) for name in "abc"]}
    rows = judged(tmp_path, body, event(event_name="a"), limits={"event_names": 2})
    assert reasons(rows) == [[], [], ["cardinality.exceeded"], []]


def test_a_hundred_thousand_names_are_capped(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, [event(event_name=f"event {number}") for number in range(20_000)])
    land(made)
    assert (ledger(made)["events.jsonl"].accepted, ledger(made)["events.jsonl"].rejected) == (10_000, 10_000)


def test_the_limit_holds_for_a_file_that_is_judged_by_column(tmp_path: Path) -> None:
    made = project(tmp_path, limits={"event_names": 1})
    export(made, "event_name,customer_id\na,1\nb,1\na,2\n", name="a.csv")
    assert reasons(landed(made)) == [[], ["cardinality.exceeded"], []]


# --- inert text ---

NASTY = [
    "'; drop table events; --",
    '"; select 1',
    "{x}",
    "{0}",
    "$1",
    "${env:HOME}",
    "a.b",
    "a'b\"c\\d",
    "%s",
    "ünï ☃",
    "null",
    "\\u0041",
]


def test_names_and_values_of_any_text_are_only_text(tmp_path: Path) -> None:
    records = [
        event(
            **dict.fromkeys(("event_name", "order_id", "dedupe_key", "workspace_id", "goal_name"), text),
            customer_id=text + "!",
            goal_type="lead",
            properties={text: text},
            extra={text: [text]},
            traits={text: text},
        )
        for text in NASTY
    ]
    rows = judged(tmp_path, *records)
    assert reasons(rows) == [[]] * len(NASTY)
    for column in ("event_name", "order_id", "dedupe_key", "workspace_id", "goal_name"):
        assert rows[column].to_list() == NASTY
    assert rows["customer_id"].to_list() == [text + "!" for text in NASTY]
    assert [json.loads(each) for each in rows["properties"]] == [{text: text} for text in NASTY]
    assert [json.loads(each) for each in rows["extra"]] == [{text: [text]} for text in NASTY]


def test_definitions_of_any_text_are_only_text(tmp_path: Path) -> None:
    definitions: list[dict[str, Any]] = [
        {
            "name": f"e{text}",
            "aliases": [f"alias {text}"],
            "properties": [
                {
                    "name": f"p{text}",
                    "type": "number",
                    "required": True,
                    "maps_to": "value",
                    "aliases": [f"a{text}"],
                },
                {"name": f"s{text}", "type": "string"},
            ],
            "goal": {"type": "purchase", "value": f"p{text}", "name": f"g{text}"},
            "unknown_properties": "reject",
        }
        for text in NASTY
        if not text.startswith("${")
    ]
    good = [
        event(event_name=d["name"].replace("e", "alias ", 1), properties={d["properties"][0]["aliases"][0]: "5"})
        for d in definitions
    ]
    bad = [
        event(event_name=d["name"], value=1, properties={"strange": 1, d["properties"][1]["name"]: []})
        for d in definitions
    ]
    rows = judged(tmp_path, *good, *bad, events=definitions)
    fine, wrong = rows[: len(good)], rows[len(good) :]
    assert reasons(fine) == [[]] * len(good)
    assert fine["event_name"].to_list() == [d["name"] for d in definitions]
    assert fine["goal_name"].to_list() == [d["goal"]["name"] for d in definitions]
    assert [json.loads(each) for each in fine["properties"]] == [{d["properties"][0]["name"]: 5} for d in definitions]
    assert reasons(wrong) == [
        sorted(["property.unknown:strange", f"property.type:{d['properties'][1]['name']}"]) for d in definitions
    ]


def test_fields_of_a_mapping_of_any_text_are_only_names(tmp_path: Path) -> None:
    fields = [text for text in NASTY if not text.startswith("${") and "." not in text]
    columns = (
        "customer_id",
        "order_id",
        "email",
        "dedupe_key",
        "goal_name",
        "workspace_id",
        "anonymous_id",
        "currency",
        "value",
    )
    mapped = dict(zip(columns, fields, strict=False))
    source = {"map": {"event_name": {"value": "it's {x} $1"}, **mapped}}
    sent = {field: f"{column}@b.co" for column, field in mapped.items()} | {
        mapped["currency"]: "EUR",
        mapped["value"]: 5,
    }
    row = accepted(judged(tmp_path, sent, sources={"web": source}))
    assert row["event_name"] == "it's {x} $1"
    assert row["value"] == 5
    for column in (
        "customer_id",
        "order_id",
        "email",
        "dedupe_key",
        "goal_name",
        "workspace_id",
        "anonymous_id",
    ):
        assert row[column] == f"{column}@b.co"
    assert not row["properties"]


def test_the_format_of_a_time_may_hold_quotes(tmp_path: Path) -> None:
    time = {"field": "it's", "format": "'%Y' {%m} \"%d\" $1"}
    source = {"map": {"event_name": {"value": "a"}, "customer_id": "c", "occurred_at": time}}
    rows = judged(tmp_path, {"c": 1, "it's": "'2026' {01} \"05\" $1"}, sources={"web": source})
    assert accepted(rows)["occurred_at"].isoformat() == "2026-01-05T00:00:00+00:00"


def test_a_list_to_explode_may_have_any_name(tmp_path: Path) -> None:
    for number, name in enumerate(text for text in NASTY if not text.startswith("${") and "." not in text):
        source = {"explode": name, "map": {"event_name": "n", "customer_id": "c"}}
        rows = judged(tmp_path / str(number), {name: [{"n": "x"}, {"n": "y"}], "c": 1}, sources={"web": source})
        assert rows["event_name"].to_list() == ["x", "y"]


def test_a_workspace_of_any_text_is_only_text(tmp_path: Path) -> None:
    made = project(tmp_path, workspace='it\'s {x} "$1"')
    export(made, [event()])
    assert accepted(landed(made))["workspace_id"] == 'it\'s {x} "$1"'
    assert load_project(tmp_path, {}).settings.workspace == 'it\'s {x} "$1"'
