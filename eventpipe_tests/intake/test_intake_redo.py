"""Redo: three generations of field names."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import polars as pl

from eventpipe_tests.builders import (
    accepted,
    judged,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    AT,
    seen,
)

EXPECTED = (
    "event_name",
    "customer_id",
    "email",
    "phone",
    "dedupe_key",
    "value",
    "currency",
    "properties",
    "extra",
    "traits",
)


def redo(folder: Path, *records: object, **source: object) -> pl.DataFrame:
    return judged(folder, *records, sources={"web": {"preset": "redo", **source}})


def test_redo_v0(tmp_path: Path) -> None:
    sent = {
        "event_name": "Checkout Started",
        "email": "Ann@Example.com",
        "phone": "+41791234567",
        "properties": {"total": 12.5, "list": [1]},
        "event_timestamp": "2026-01-05T10:00:00Z",
        "cart_context": {"cart_id": "k1", "skus": []},
    }
    row = accepted(redo(tmp_path, sent))
    assert row["occurred_at"].isoformat() == AT
    assert seen(row, *EXPECTED) == {
        "event_name": "Checkout Started",
        "email": "ann@example.com",
        "phone": "+41791234567",
        "properties": {"total": 12.5, "list": [1]},
        "extra": {"cart_context": {"cart_id": "k1", "skus": []}},
    }


def test_redo_keeps_all_that_is_beside_the_properties(tmp_path: Path) -> None:
    """`$extra` in `data`, `$extra` above it and the context of the cart, of which any may be missing or null."""
    cart, above, inside = {"cart_id": "k1"}, {"a": 1, "k": 1}, {"a": 2, "n": None}
    parts = {"cart_context": cart, "$extra": above}
    sent = [
        {"eventName": "e", "customer": {"id": "c"}, "data": {"x": 1, "$extra": inside}, **parts},
        {"eventName": "e", "customer": {"id": "c"}, "data": {"x": 1, "$extra": None}, **parts},
        {"eventName": "e", "customer": {"id": "c"}, "data": {"x": 1}, "$extra": above},
        {"eventName": "e", "customer": {"id": "c"}, "data": {"x": 1, "$extra": "text"}},
    ]
    extras = [json.loads(each) for each in redo(tmp_path, *sent)["extra"].to_list()]
    assert extras[1:] == [{**above, "cart_context": cart}, above, "text"]
    assert extras[0] == {"a": 1, "k": 1, "n": None, "cart_context": cart}


def test_redo_v1(tmp_path: Path) -> None:
    sent = {
        "event_name": "Checkout Started",
        "customer_id": "c1",
        "email": "ann@example.com",
        "phone": "+41791234567",
        "unique_id": "u1",
        "value": 99.5,
        "value_currency": "EUR",
        "properties": {"plan": "pro", "$extra": {"zero": 0, "list": [], "text": ""}},
        "event_timestamp": "2026-01-05T10:00:00Z",
    }
    row = accepted(redo(tmp_path, sent))
    assert row["occurred_at"].isoformat() == AT
    assert seen(row, *EXPECTED) == {
        "event_name": "Checkout Started",
        "customer_id": "c1",
        "email": "ann@example.com",
        "phone": "+41791234567",
        "dedupe_key": "u1",
        "value": Decimal("99.5"),
        "currency": "EUR",
        "properties": {"plan": "pro"},
        "extra": {"zero": 0, "list": [], "text": ""},
    }


def test_redo_v2(tmp_path: Path) -> None:
    sent = {
        "eventName": "Checkout Started",
        "customer": {
            "id": 17,
            "email": "ann@example.com",
            "phoneNumber": "+41791234567",
            "firstName": "Ann",
            "location": {"city": "Zürich"},
            "customFields": {"tier": "gold"},
        },
        "uniqueId": "u1",
        "value": "99.50",
        "valueCurrency": "eur",
        "data": {"plan": "pro", "$extra": [0, None, ""]},
        "eventTimestamp": "2026-01-05T10:00:00Z",
    }
    row = accepted(redo(tmp_path, sent))
    assert row["occurred_at"].isoformat() == AT
    assert seen(row, *EXPECTED) == {
        "event_name": "Checkout Started",
        "customer_id": "17",
        "email": "ann@example.com",
        "phone": "+41791234567",
        "dedupe_key": "u1",
        "value": Decimal("99.5"),
        "currency": "EUR",
        "properties": {"plan": "pro"},
        "extra": [0, None, ""],
        "traits": {"first_name": "Ann", "location": {"city": "Zürich"}, "tier": "gold"},
    }


def test_redo_customer_as_one_string_is_an_email_a_phone_number_or_an_id(tmp_path: Path) -> None:
    drawn = {
        "Ann@Example.com": ["email", "ann@example.com"],
        "+41 79 123 45 67": ["phone", "+41791234567"],
        " +41791234567 ": ["phone", "+41791234567"],
        "cus_1": ["customer_id", "cus_1"],
        "0041": ["customer_id", "0041"],
    }
    rows = redo(tmp_path, *({"event_name": "a", "customer": each, "timestamp": 1767607200} for each in drawn))
    assert [json.loads(each) for each in rows["identifiers"]] == [[identifier] for identifier in drawn.values()]
    assert {at.isoformat() for at in rows["occurred_at"]} == {AT}


def test_redo_customer_as_an_object_is_no_string_whatever_the_data_hold(tmp_path: Path) -> None:
    sent = {"eventName": "a", "customer": {"phoneNumber": "+41791234567"}, "data": {"customer": "Bob"}}
    assert accepted(redo(tmp_path, sent))["identifiers"] == [["phone", "+41791234567"]]


def test_redo_drops_what_is_unset_at_the_top_of_the_data_and_nothing_else(tmp_path: Path) -> None:
    data: dict[str, object] = {
        "a": 0,
        "b": None,
        "c": "",
        "d": 0.0,
        "e": False,
        "f": " ",
        "g": "0",
        "h": {"x": 0, "y": None},
        "i": [],
        "j": -0.0,
        "k": 10,
        "l": 0.5,
    }
    row = accepted(redo(tmp_path, {"eventName": "a", "customer": {"id": "c"}, "data": data}))
    assert row["properties"] == {
        "e": False,
        "f": " ",
        "g": "0",
        "h": {"x": 0, "y": None},
        "i": [],
        "k": 10,
        "l": 0.5,
    }


def test_redo_data_may_hold_nothing(tmp_path: Path) -> None:
    nothing: list[object] = [{}, {"$extra": {}}, {"a": 0}, None]
    rows = redo(tmp_path, *({"eventName": "a", "customer": {"id": "c"}, "data": data} for data in nothing))
    assert rows["properties"].to_list() == ["{}", "{}", "{}", None]


def test_redo_extra_is_in_no_property_in_no_generation(tmp_path: Path) -> None:
    extra = {"$extra": {"secret": 1}}
    records = [
        {"eventName": "a", "customer": {"id": "c"}, "data": {"x": 1, **extra}},
        {"event_name": "a", "customer_id": "c", "properties": {"x": 1, **extra}},
        {"event_name": "a", "customer_id": "c", "properties": {"x": 1}, **extra},
    ]
    rows = redo(tmp_path, *records)
    assert [json.loads(each) for each in rows["properties"]] == [{"x": 1}] * 3
    assert [json.loads(each) for each in rows["extra"]] == [{"secret": 1}] * 3


def test_redo_bulk_bodies_are_read_event_by_event(tmp_path: Path) -> None:
    rows = redo(
        tmp_path,
        {"events": [{"eventName": "a", "customer": {"id": "c"}}, {"eventName": "", "customer": {"id": "c"}}]},
    )
    assert reasons(rows) == [[], ["event_name.missing"]]


def test_redo_names_are_free_text_of_100_bytes(tmp_path: Path) -> None:
    names = ["  Order Completed ", "é" * 50, "é" * 51, "", " ", "ÜBER ☃", "x" * 100, "x" * 101]
    rows = redo(tmp_path, *({"eventName": name, "customer": {"id": "c"}} for name in names))
    length, missing = ["event_name.length"], ["event_name.missing"]
    assert reasons(rows) == [[], [], length, missing, missing, [], [], length]
    assert rows["event_name"][0] == "Order Completed"
    assert rows["raw_event_name"][0] == "  Order Completed "
