"""The canonical preset and the mappings of a project."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from eventpipe_tests.builders import (
    accepted,
    export,
    judged,
    landed,
    only,
    project,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    AT,
)


def test_canonical_takes_its_own_columns(tmp_path: Path) -> None:
    sent = {
        "workspace_id": "w",
        "event_name": "order.completed",
        "kind": "screen",
        "occurred_at": "2026-01-05T10:00:00Z",
        "customer_id": "c",
        "email": "a@b.co",
        "phone": "+41791234567",
        "anonymous_id": "x",
        "dedupe_key": "k",
        "order_id": "o",
        "goal_type": "lead",
        "goal_name": "g",
        "value": 5,
        "currency": "EUR",
        "properties": {"p": 1},
        "extra": {"e": 1},
        "traits": {"t": 1},
        "deletion": "deleted",
    }
    row = accepted(judged(tmp_path, sent))
    assert row["occurred_at"].isoformat() == AT
    assert {name: row[name] for name in sent if name not in ("occurred_at", "value")} == {
        name: value for name, value in sent.items() if name not in ("occurred_at", "value")
    }
    assert row["value"] == 5


def test_canonical_deletion_may_be_said_either_way(tmp_path: Path) -> None:
    said: list[tuple[dict[str, object], str]] = [
        ({}, "unchanged"),
        ({"deleted_at": None}, "restored"),
        ({"deletion": "unchanged", "deleted_at": None}, "unchanged"),
        ({"deletion": "restored"}, "restored"),
        ({"deleted_at": "2026-01-05T00:00:00Z"}, "deleted"),
        ({"deletion": " Deleted"}, "deleted"),
        ({"deletion": "", "deleted_at": None}, "restored"),
        ({"deleted_at": " "}, "restored"),
    ]
    rows = judged(tmp_path, *({"event_name": "a", "customer_id": "c", **fields} for fields, _ in said))
    assert rows["deletion"].to_list() == [deletion for _, deletion in said]


def test_a_deletion_in_a_word_of_its_own_is_refused_and_not_taken_for_none(tmp_path: Path) -> None:
    said = ("removed", True, {"at": 1}, "unchanged")
    rows = judged(tmp_path, *({"event_name": "a", "customer_id": "c", "deletion": state} for state in said))
    assert rows["reasons"].to_list() == [["property.type:deletion"]] * 3 + [None]


def test_an_empty_text_that_a_map_reads_deletes_nothing(tmp_path: Path) -> None:
    source = {"map": {"event_name": {"value": "a"}, "customer_id": "c", "deleted_at": "gone"}}
    rows = judged(tmp_path, {"c": "1", "gone": ""}, {"c": "1", "gone": 1767607200}, {"c": "1"}, sources={"web": source})
    assert rows["deletion"].to_list() == ["restored", "deleted", "unchanged"]


def test_a_key_may_have_dots_in_it(tmp_path: Path) -> None:
    fields = {"customer_id": "user.id", "dedupe_key": {"sql": 'upper("user.key")'}, "deleted_at": "meta.deleted_at"}
    source = {"map": {"event_name": {"value": "a"}, **fields}}
    flat = {"user.id": "u1", "user.key": "k", "meta.deleted_at": None, "n": 1}
    nested = {"user": {"id": "u2", "key": "k", "name": "x"}, "n": 2}
    both = {"user.id": "u3", "user": {"id": "not me"}}
    rows = judged(tmp_path, flat, nested, both, sources={"web": source})
    assert rows["customer_id"].to_list() == ["u1", "u2", "u3"]
    assert rows["dedupe_key"].to_list() == ["K", "K", None]
    assert rows["deletion"].to_list() == ["restored", "unchanged", "unchanged"]
    assert [json.loads(each) for each in rows["properties"]] == [{"n": 1}, {"user": {"name": "x"}, "n": 2}, {}]


def test_a_kind_that_there_is_not_is_a_tracked_event(tmp_path: Path) -> None:
    kinds = {
        "Identify": "identify",
        "alias": "alias",
        "page": "page",
        "sale": "track",
        None: "track",
        5: "track",
    }
    rows = judged(tmp_path, *({"event_name": "a", "customer_id": "c", "kind": sent} for sent in kinds))
    assert rows["kind"].to_list() == list(kinds.values())


def test_identify_and_alias_need_no_name(tmp_path: Path) -> None:
    rows = judged(
        tmp_path,
        {"kind": "identify", "customer_id": "c"},
        {"kind": "alias", "customer_id": "c", "anonymous_id": "x"},
    )
    assert reasons(rows) == [[], []]
    assert rows["event_name"].to_list() == ["identify", "alias"]


def test_a_map_overrides_single_fields_of_a_preset(tmp_path: Path) -> None:
    source = {"preset": "redo", "map": {"customer_id": "data.user", "goal_type": {"value": "lead"}}}
    sent = {"eventName": "a", "customer": {"id": "c1"}, "data": {"user": "c2"}}
    row = accepted(judged(tmp_path, sent, sources={"web": source}))
    assert (row["customer_id"], row["goal_type"], row["properties"]) == ("c2", "lead", {"user": "c2"})


def test_fields_that_no_mapping_uses_stay_in_the_properties(tmp_path: Path) -> None:
    source = {"map": {"event_name": "name", "customer_id": "user.id", "email": "user.email", "occurred_at": "t"}}
    sent = {
        "name": "a",
        "user": {"id": "c", "email": "a@b.co", "age": 7},
        "t": 1767607200,
        "n": 1.5,
        "nothing": None,
    }
    row = accepted(judged(tmp_path, sent, sources={"web": source}))
    assert row["properties"] == {"user": {"age": 7}, "n": 1.5, "nothing": None}


def test_a_field_inside_of_another_is_taken_out_where_it_is_and_nothing_else_is_touched(tmp_path: Path) -> None:
    fields = {"event_name": "name", "customer_id": "user.id", "order_id": {"sql": "cart.sum.id"}}
    rest: list[dict[str, object]] = [
        {"user": {"age": 7}, "cart": {"sum": {"net": 1}, "n": 2}},
        {"user": "Ann", "cart": {"sum": 5}},
        {"user": None, "cart": []},
        {},
    ]
    sent: list[dict[str, object]] = [
        {"user": {"id": "c", "age": 7}, "cart": {"sum": {"id": "o", "net": 1}, "n": 2}},
        *rest[1:],
    ]
    source = {"map": fields, "identifiers": "optional"}
    rows = judged(tmp_path, *({**each, "name": "a"} for each in sent), sources={"web": source})
    assert [json.loads(each) for each in rows["properties"]] == rest


def test_an_object_that_a_mapping_uses_up_is_no_property(tmp_path: Path) -> None:
    fields = {"event_name": "name", "customer_id": "user.id", "order_id": "cart.sum.id"}
    definition = {"name": "a", "unknown_properties": "reject", "properties": [{"name": "n", "type": "number"}]}
    sent = {"name": "a", "user": {"id": "c"}, "cart": {"sum": {"id": "o"}}, "n": 2}
    row = accepted(judged(tmp_path, sent, sources={"web": {"map": fields}}, events=[definition]))
    assert row["properties"] == {"n": 2}


@pytest.mark.parametrize("fields", [("a", "a.b"), ("a.b", "a")])
def test_a_field_that_is_read_whole_is_gone_whole(tmp_path: Path, fields: tuple[str, str]) -> None:
    source = {"map": {"event_name": {"value": "x"}, "customer_id": "c", "goal_name": fields[0], "order_id": fields[1]}}
    row = accepted(judged(tmp_path, {"c": "1", "a": {"b": "o", "d": 1}, "e": 2}, sources={"web": source}))
    assert row["properties"] == {"e": 2}


def test_names_that_differ_in_case_or_hold_one_another_are_each_read(tmp_path: Path) -> None:
    source = {
        "map": {
            "event_name": "Name",
            "customer_id": "ID",
            "order_id": "id",
            "email": "a.b",
            "goal_name": "a",
            "dedupe_key": "A.c",
        }
    }
    sent = {"Name": "x", "name": "y", "ID": "1", "id": "2", "a": {"b": "a@b.co"}, "A": {"c": "k"}}
    row = accepted(judged(tmp_path, sent, sources={"web": source}))
    assert (row["customer_id"], row["order_id"], row["email"], row["dedupe_key"]) == ("1", "2", "a@b.co", "k")
    assert (row["event_name"], row["goal_name"]) == ("x", '{"b":"a@b.co"}')


def test_what_is_tracked_has_a_name_and_every_other_kind_may_go_unnamed(tmp_path: Path) -> None:
    kinds = ("identify", "merge", "page", "screen", "track")
    source = {"map": {"event_name": "name", "kind": "kind", "customer_id": "c"}}
    rows = judged(tmp_path, *({"c": "1", "kind": kind, "name": " "} for kind in kinds), sources={"web": source})
    assert rows["event_name"].to_list() == ["identify", "alias", "page", "screen", None]
    assert reasons(rows) == [[]] * 4 + [["event_name.missing"]]


def test_one_field_may_fill_several(tmp_path: Path) -> None:
    source = {"map": {"event_name": {"value": "a"}, "customer_id": "n", "order_id": "n", "value": "n"}}
    row = accepted(judged(tmp_path, {"n": 12}, sources={"web": {**source, "coerce": False}}))
    assert (row["customer_id"], row["order_id"], row["value"]) == ("12", "12", 12)


def test_a_previous_id_is_mapped_beside_the_identifiers(tmp_path: Path) -> None:
    source = {"map": {"event_name": "k", "kind": "k", "customer_id": "to", "previous_id": "from"}}
    row = accepted(judged(tmp_path, {"k": "merge", "to": "c1", "from": "x9"}, sources={"web": source}))
    assert (row["kind"], row["identifiers"]) == ("alias", [["customer_id", "c1"], ["anonymous_id", "x9"]])


def test_declared_identifier_types_are_filled_by_a_map_and_by_definitions(tmp_path: Path) -> None:
    identity = {
        "types": [
            {"name": "loyalty", "limit": 1},
            {"name": "customer_id", "limit": 1},
            {"name": "raw", "limit": 5},
        ]
    }
    source = {"preset": "canonical", "map": {"raw": "r"}}
    defined = {
        "name": "joined",
        "properties": [{"name": "card", "type": "string", "required": True, "maps_to": "loyalty"}],
    }
    sent = {"event_name": "joined", "customer_id": "c", "r": " r1 ", "properties": {"card": " L7 "}}
    row = accepted(judged(tmp_path, sent, sources={"web": source}, events=[defined], identity=identity))
    assert row["identifiers"] == [["loyalty", "L7"], ["customer_id", "c"], ["raw", "r1"]]


def test_an_expression_computes_a_field_from_several(tmp_path: Path) -> None:
    value = {"sql": "cast(quantity as decimal(18,4)) * cast(price.net as decimal(18,4))"}
    name = {"sql": "lower(group) || '.' || coalesce(step, 'seen')"}
    source = {"map": {"event_name": name, "customer_id": "c", "value": value}}
    records = [
        {"c": "1", "group": "CART", "quantity": 3, "price": {"net": "1.10"}},
        {"c": "1", "group": "Cart", "step": "left", "price": {"net": 1}},
    ]
    rows = judged(tmp_path, *records, sources={"web": source})
    assert rows.select("event_name", "value").rows() == [("cart.seen", Decimal("3.3")), ("cart.left", None)]


def test_a_product_has_room_for_every_value(tmp_path: Path) -> None:
    products = {
        "cast(a as decimal(18,4)) * cast(b as decimal(18,4))": "37037036703.3702",
        "try_cast(a as decimal(18,4)) * 0.01": "123456789.0112",
        "(cast(a as decimal(18, 2)) + cast(0 as decimal)) * cast(cast(b as decimal(18,4)) as decimal(9,1))": "37037036703.36",
        "cast(a as decimal(18,4))": "12345678901.1234",
    }
    record = {"c": "1", "a": "12345678901.1234", "b": 3}
    fields = {"event_name": {"value": "x"}, "customer_id": "c"}
    sources = {f"s{n}": {"map": {**fields, "value": {"sql": sql}}} for n, sql in enumerate(products)}
    made = project(tmp_path, sources=sources)
    for source in sources:
        export(made, [record], source=source)
    assert landed(made)["value"].to_list() == [Decimal(value) for value in products.values()]


KEY = "00012345678901234"
"""A text, though of digits: with the value of another field, and none of its zeros to lose."""


def test_a_line_that_an_expression_cannot_compute_is_rejected_and_costs_no_other(tmp_path: Path) -> None:
    quantity = "cast(quantity as integer)"
    source = {
        "map": {
            "event_name": {"value": "order"},
            "customer_id": "c",
            # The same cast more than once, and in more than one expression.
            "value": {"sql": f"case when {quantity} > 0 then {quantity} * cast(price as decimal(18,4)) end"},
            "order_id": {"sql": quantity},
            "goal_type": {"value": "purchase"},
            "occurred_at": {"sql": "strptime(day, '%d.%m.%Y')"},
            "dedupe_key": {"sql": "key"},
        }
    }
    whole = {"c": "1", "quantity": 3, "price": 12345678901.0001, "day": "05.01.2026", "key": KEY, "n": 12345678901234.0}
    records = [
        whole,
        {**whole, "quantity": "x"},
        {**whole, "day": "5 January", "quantity": 0},
        {**whole, "price": "1e30"},
    ]
    rows = judged(tmp_path, *records, sources={"web": source})
    assert reasons(rows) == [
        [],
        ["property.type:order_id", "value.invalid"],
        ["goal_value.required", "occurred_at.invalid"],
        ["value.invalid"],
    ]
    assert rows.select("value", "order_id", "dedupe_key").row(0) == (Decimal("37037036703.0003"), "3", KEY)


def test_an_expression_may_make_properties(tmp_path: Path) -> None:
    made = {"sql": "json_object('size', size, 'parts', json_object('count', cast(n as integer)))"}
    source = {"map": {"event_name": {"value": "a"}, "customer_id": "c", "properties": made}}
    row = accepted(judged(tmp_path, {"c": "1", "size": "XL", "n": 2, "other": 1}, sources={"web": source}))
    assert row["properties"] == {"size": "XL", "parts": {"count": 2}}


def test_a_time_may_have_a_format_of_its_own(tmp_path: Path) -> None:
    source = {
        "preset": "canonical",
        "timezone": "America/New_York",
        "map": {"occurred_at": {"field": "when", "format": "%d.%m.%Y %H:%M"}},
    }
    sent = {"event_name": "a", "customer_id": "c", "when": "05.01.2026 05:00"}
    assert accepted(judged(tmp_path, sent, sources={"web": source}))["occurred_at"].isoformat() == AT
    assert reasons(judged(tmp_path / "2", {**sent, "when": AT}, sources={"web": source})) == [["occurred_at.invalid"]]


def test_events_without_a_usable_identifier_are_kept_where_the_source_says_so(tmp_path: Path) -> None:
    sent = {"event_name": "a", "customer_id": "guest"}
    assert reasons(judged(tmp_path / "required", sent)) == [["identifier.missing"]]
    optional = {"web": {"preset": "canonical", "identifiers": "optional"}}
    assert only(judged(tmp_path / "optional", sent, sources=optional))["identifiers"] is None
