"""What the vendors send, every generation of field names (spec/source-systems.md), as canonical events."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventpipe.project.folder import Project
from eventpipe_tests.builders import accepted, export, judged, landed, only, project, reasons

AT = "2026-01-05T10:00:00+00:00"
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


def seen(row: dict[str, Any], *columns: str) -> dict[str, Any]:
    """The columns of a row that are not null."""
    return {name: row[name] for name in columns if row[name] is not None}


def redo(folder: Path, *records: object, **source: object) -> pl.DataFrame:
    return judged(folder, *records, sources={"web": {"preset": "redo", **source}})


def notifuse(folder: Path, *records: Mapping[str, object]) -> pl.DataFrame:
    sent: dict[str, object] = {
        "email": "a@b.co",
        "event_name": "order.completed",
        "external_id": "o1",
        "occurred_at": "2026-01-05T10:00:00Z",
    }
    return judged(folder, *({**sent, **fields} for fields in records), sources={"web": "notifuse"})


def customerio(folder: Path, *records: object) -> pl.DataFrame:
    return judged(folder, *records, sources={"web": "customerio"})


def arsel(folder: Path, *records: object, **source: object) -> pl.DataFrame:
    return judged(folder, *records, sources={"web": {"preset": "arsel", **source}}, events=[TRIAL])


TRIAL = {
    "name": "trial.started",
    "properties": [{"name": "plan", "type": "string"}, {"name": "price", "type": "number"}],
}


# --- redo ---


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


# --- notifuse ---


def test_notifuse_event(tmp_path: Path) -> None:
    sent = {
        "email": " A@B.co",
        "goal_type": "purchase",
        "goal_value": -49.995,
        "goal_name": "spring",
        "properties": {"a": 0, "b": None},
        "workspace_id": "shop",
    }
    row = accepted(notifuse(tmp_path, sent))
    columns = (
        "workspace_id",
        "event_name",
        "email",
        "dedupe_key",
        "goal_type",
        "goal_name",
        "value",
        "currency",
        "properties",
    )
    assert seen(row, *columns, "deletion") == {
        "workspace_id": "shop",
        "event_name": "order.completed",
        "email": "a@b.co",
        "dedupe_key": "o1",
        "goal_type": "purchase",
        "goal_name": "spring",
        "value": Decimal("-49.995"),
        "currency": "USD",
        "properties": {"a": 0, "b": None},
        "deletion": "unchanged",
    }


def test_notifuse_deletion_is_three_valued(tmp_path: Path) -> None:
    states: dict[str, dict[str, object]] = {
        "unchanged": {},
        "restored": {"deleted_at": None},
        "deleted": {"deleted_at": "2026-01-05T12:00:00Z"},
    }
    rows = notifuse(tmp_path, *({"properties": {"deleted_at": None}, **fields} for fields in states.values()))
    assert rows["deletion"].to_list() == list(states)
    assert rows["deleted_at"].is_not_null().to_list() == [False, False, True]


def test_a_deletion_without_a_readable_time_is_rejected(tmp_path: Path) -> None:
    assert reasons(notifuse(tmp_path, {"deleted_at": "yes"})) == [["deleted_at.invalid"]]


def test_notifuse_names_are_of_its_own_alphabet_not_trimmed_and_not_put_right(tmp_path: Path) -> None:
    fine = ("a", "order.completed", "a_b/c-d.9", "123", "x" * 100)
    names: dict[str | None, list[str]] = {
        **{name: [] for name in fine},
        "Order Completed": ["event_name.format"],
        " order": ["event_name.format"],
        "order\n": ["event_name.format"],
        "örder": ["event_name.format"],
        "X" * 101: ["event_name.format", "event_name.length"],
        "": ["event_name.missing"],
        None: ["event_name.missing"],
        "x" * 101: ["event_name.length"],
    }
    assert reasons(notifuse(tmp_path, *({"event_name": name} for name in names))) == list(names.values())


def test_notifuse_keys_count_per_event_name_and_those_of_others_per_source(tmp_path: Path) -> None:
    made = project(tmp_path, sources={"n": "notifuse", "r": "redo", "s": "redo"})
    for name in ("a", "b"):
        sent = {"email": "a@b.co", "event_name": name, "external_id": "k", "occurred_at": 1767607200}
        export(made, [sent, sent], source="n", name=f"{name}.jsonl")
        for source in ("r", "s"):
            export(
                made,
                [{"event_name": name, "customer_id": "c", "unique_id": "k"}],
                source=source,
                name=f"{name}.jsonl",
            )
    ids = landed(made).select("source", "event_name", "event_id").unique()
    assert ids.filter(source="n")["event_id"].n_unique() == 2
    assert ids.filter(source="r")["event_id"].n_unique() == ids.filter(source="s")["event_id"].n_unique() == 1
    assert ids["event_id"].n_unique() == 4


def test_the_workspace_is_part_of_the_key(tmp_path: Path) -> None:
    sent = {"event_name": "a", "customer_id": "c", "dedupe_key": "k"}
    rows = judged(tmp_path, sent, {**sent, "workspace_id": "default"}, {**sent, "workspace_id": "other"})
    assert rows["event_id"].n_unique() == 2


def test_events_without_a_key_are_bound_to_their_file_and_line(tmp_path: Path) -> None:
    made = project(tmp_path)
    sent = {"event_name": "a", "customer_id": "c"}
    export(made, [sent, sent, {"events": [sent, sent]}])
    export(made, [sent], name="other.jsonl")
    before = landed(made)
    assert before["event_id"].n_unique() == 5
    export(made, [sent, sent, {"events": [sent, sent]}, sent])
    assert before["event_id"].is_in(landed(made)["event_id"].implode()).all()


# --- customer.io ---


def test_customerio_track_v2(tmp_path: Path) -> None:
    sent = {
        "type": "person",
        "identifiers": {"id": "c1"},
        "action": "event",
        "name": " checkout_started ",
        "id": "01HB4HBDKTFWYZCK01DMRSWRFD",
        "timestamp": 1767607200,
        "attributes": {"total": "12.50", "email": "not@identifier.co"},
    }
    row = accepted(customerio(tmp_path, sent))
    assert row["occurred_at"].isoformat() == AT
    assert seen(row, "kind", *EXPECTED) == {
        "kind": "track",
        "event_name": "checkout_started",
        "customer_id": "c1",
        "dedupe_key": "01HB4HBDKTFWYZCK01DMRSWRFD",
        "properties": {"total": "12.50", "email": "not@identifier.co"},
    }


def test_customerio_track_v1_names_the_person_beside_the_data(tmp_path: Path) -> None:
    people: list[tuple[dict[str, object], list[list[str]]]] = [
        ({"identifiers": {"id": "c1"}}, [["customer_id", "c1"]]),
        ({"identifiers": {"email": "A@b.co"}}, [["email", "a@b.co"]]),
        ({"identifiers": {"phone": "+41791234567"}}, [["phone", "+41791234567"]]),
        ({"identifiers": {"anonymous_id": "x"}}, [["anonymous_id", "x"]]),
        ({"customer_id": "c1", "email": "a@b.co"}, [["customer_id", "c1"], ["email", "a@b.co"]]),
        ({"anonymous_id": "x"}, [["anonymous_id", "x"]]),
        ({"customer_id": "c1", "anonymous_id": "undefined"}, [["customer_id", "c1"]]),
    ]
    sent: dict[str, object] = {
        "name": "site_visit",
        "type": "event",
        "id": "k",
        "timestamp": 1767607200,
        "data": {"url": "/"},
    }
    rows = customerio(tmp_path, *(sent | person for person, _ in people))
    assert [json.loads(each) for each in rows["identifiers"]] == [identifiers for _, identifiers in people]
    same = rows.select("kind", "event_name", "dedupe_key", "properties").unique()
    assert same.rows() == [("track", "site_visit", "k", '{"url":"/"}')]


def test_customerio_identify_v2_has_traits_and_their_email_and_phone_identify(tmp_path: Path) -> None:
    sent = {
        "type": "person",
        "identifiers": {"id": "c1"},
        "action": "identify",
        "attributes": {"email": "A@b.co", "phone": "+41791234567", "plan": "pro"},
    }
    row = accepted(customerio(tmp_path, sent))
    assert (row["kind"], row["event_name"], row["properties"]) == ("identify", "identify", None)
    assert row["identifiers"] == [["customer_id", "c1"], ["email", "a@b.co"], ["phone", "+41791234567"]]
    assert row["traits"] == {"email": "A@b.co", "phone": "+41791234567", "plan": "pro"}


def test_customerio_merge_ties_primary_and_secondary(tmp_path: Path) -> None:
    sent = {"type": "person", "action": "merge", "primary": {"id": "c1"}, "secondary": {"email": "Old@b.co"}}
    row = accepted(customerio(tmp_path, sent))
    assert (row["kind"], row["event_name"]) == ("alias", "alias")
    assert row["identifiers"] == [["customer_id", "c1"], ["email", "old@b.co"]]
    by_id = {"action": "merge", "primary": {"email": "a@b.co"}, "secondary": {"id": "c2"}}
    assert accepted(customerio(tmp_path / "2", by_id))["identifiers"] == [
        ["customer_id", "c2"],
        ["email", "a@b.co"],
    ]


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_customerio_pages_and_screens_may_go_unnamed(kind: str, tmp_path: Path) -> None:
    rows = customerio(
        tmp_path,
        {"type": kind, "userId": "c1", "name": "Home", "properties": {"url": "/"}},
        {"type": kind, "userId": "c1", "properties": {}},
    )
    assert rows.select("kind", "event_name").rows() == [(kind, "Home"), (kind, kind)]


def test_customerio_pipelines_calls(tmp_path: Path) -> None:
    both = {"userId": "c1", "anonymousId": "x", "timestamp": "2026-01-05T10:00:00.000Z", "messageId": "m"}
    rows = customerio(
        tmp_path,
        {"type": "track", "event": "Order Completed", "properties": {"total": 1}, **both},
        {"type": "identify", "traits": {"email": "a@b.co"}, **both},
        {"type": "alias", "userId": "c1", "previousId": "x"},
        {
            "type": "track",
            "event": "seen",
            "anonymousId": "x",
            "context": {"traits": {"email": "not@identifier.co"}},
        },
    )
    assert rows["kind"].to_list() == ["track", "identify", "alias", "track"]
    assert rows["event_name"].to_list() == ["Order Completed", "identify", "alias", "seen"]
    assert [json.loads(each) for each in rows["identifiers"]] == [
        [["customer_id", "c1"], ["anonymous_id", "x"]],
        [["customer_id", "c1"], ["email", "a@b.co"], ["anonymous_id", "x"]],
        [["customer_id", "c1"], ["anonymous_id", "x"]],
        [["anonymous_id", "x"]],
    ]
    assert rows["dedupe_key"].to_list() == ["m", "m", None, None]
    assert {at.isoformat() for at in rows["occurred_at"][:2]} == {AT}


STORAGE: dict[str, dict[str, str | None]] = {
    "track": {
        "id": "m1",
        "received_at": "2026-01-05T10:00:05Z",
        "sent_at": "2026-01-05T10:00:00Z",
        "anonymous_id": "x",
        "user_id": None,
        "event": "order_completed",
        "event_text": "Order Completed",
        "properties": '{"total": 12.5, "items": ["a"]}',
        "context": '{"ip": "203.0.113.1"}',
    },
    "identify": {
        "id": "m2",
        "sent_at": "1767607200",
        "anonymous_id": "x",
        "user_id": "c1",
        "traits": '{"email": "A@b.co"}',
    },
    "alias": {"id": "m3", "sent_at": "2026-01-05T10:00:00Z", "previous_id": "x", "user_id": "c1"},
    "page": {
        "id": "m4",
        "sent_at": "2026-01-05T10:00:00Z",
        "user_id": "c1",
        "name": "Home",
        "properties": "{}",
    },
}


def storage_export(made: Project, action: str, ending: str, name: str) -> None:
    row = STORAGE[action]
    if ending == "csv":
        text = io.StringIO()
        csv.writer(text).writerows([row.keys(), ["" if cell is None else cell for cell in row.values()]])
        export(made, text.getvalue(), name=name)
    elif ending == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.table({column: pa.array([cell], pa.string()) for column, cell in row.items()}), sink)
        export(made, sink.getvalue(), name=name)
    else:
        export(made, [row], name=name)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_customerio_storage_exports_are_told_apart_by_their_names(ending: str, tmp_path: Path) -> None:
    made = project(tmp_path, sources={"web": "customerio"})
    for action in STORAGE:
        storage_export(made, action, ending, f"shop.production.7.{action}.{ending}")
    storage_export(made, "identify", ending, f"shop_identifies_7.{ending}")
    rows = landed(made)
    by_file = {row["file"].removesuffix(f".{ending}").removeprefix("shop"): row for row in rows.iter_rows(named=True)}
    track = by_file[".production.7.track"]
    assert (track["kind"], track["event_name"], track["dedupe_key"]) == ("track", "Order Completed", "m1")
    assert json.loads(track["properties"]) == {"total": 12.5, "items": ["a"]}
    assert track["identifiers"] == '[["anonymous_id","x"]]'
    for name in (".production.7.identify", "_identifies_7"):
        assert by_file[name]["kind"] == "identify"
        assert json.loads(by_file[name]["identifiers"]) == [
            ["customer_id", "c1"],
            ["email", "a@b.co"],
            ["anonymous_id", "x"],
        ]
        assert json.loads(by_file[name]["traits"]) == {"email": "A@b.co"}
    assert by_file[".production.7.alias"]["kind"] == "alias"
    assert json.loads(by_file[".production.7.alias"]["identifiers"]) == [
        ["customer_id", "c1"],
        ["anonymous_id", "x"],
    ]
    assert (by_file[".production.7.page"]["kind"], by_file[".production.7.page"]["event_name"]) == (
        "page",
        "Home",
    )
    assert {row["occurred_at"].isoformat() for row in by_file.values()} == {AT}


# --- arsel ---


def test_arsel_event(tmp_path: Path) -> None:
    sent = {
        "event": "trial.started",
        "email": "A@b.co",
        "data": {"plan": "pro", "price": 5},
        "timestamp": "2026-01-05T10:00:00Z",
    }
    row = accepted(arsel(tmp_path, sent))
    assert (row["event_name"], row["identifiers"], row["dedupe_key"]) == (
        "trial.started",
        [["email", "a@b.co"]],
        None,
    )
    assert row["properties"] == {"plan": "pro", "price": 5}


def test_arsel_takes_exactly_one_identifier(tmp_path: Path) -> None:
    people: list[tuple[dict[str, object], list[str]]] = [
        ({"email": "a@b.co"}, []),
        ({"contact_id": "c"}, []),
        ({"external_id": "c"}, []),
        ({"phone_number": "+41791234567"}, []),
        ({"contact_id": "c", "email": ""}, []),
        ({"contact_id": "c", "email": None}, []),
        ({"email": "a@b.co", "contact_id": "c"}, ["identifier.ambiguous"]),
        ({"external_id": "a", "contact_id": "c"}, ["identifier.ambiguous"]),
        ({"email": "not an address", "contact_id": "c"}, ["identifier.ambiguous"]),
        ({}, ["identifier.missing"]),
        ({"email": "not an address"}, ["identifier.missing"]),
    ]
    rows = arsel(tmp_path, *({"event": "trial.started", "data": {}, **person} for person, _ in people))
    assert reasons(rows) == [found for _, found in people]


def test_arsel_takes_defined_events_only_unless_its_registry_is_opened(tmp_path: Path) -> None:
    sent = {"event": "cart.exported", "email": "a@b.co", "data": {}}
    assert reasons(arsel(tmp_path / "closed", sent)) == [["event_name.unknown"]]
    assert reasons(arsel(tmp_path / "open", sent, registry="open")) == [[]]


def test_arsel_takes_no_numbers_as_text_unless_told_to_coerce(tmp_path: Path) -> None:
    sent = {"event": "trial.started", "email": "a@b.co", "data": {"plan": 7, "price": "5"}}
    assert reasons(arsel(tmp_path / "strict", sent)) == [["property.type:plan", "property.type:price"]]
    row = accepted(arsel(tmp_path / "coerced", sent, coerce=True))
    assert (row["properties"], row["coercions"]) == ({"plan": "7", "price": 5}, 2)


# --- canonical ---


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
        ({"deletion": "nonsense"}, "unchanged"),
    ]
    rows = judged(tmp_path, *({"event_name": "a", "customer_id": "c", **fields} for fields, _ in said))
    assert rows["deletion"].to_list() == [deletion for _, deletion in said]


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


# --- mapped over a preset, and alone ---


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
        {"c": "1", "group": "Cart", "step": "left", "quantity": "x", "price": {"net": 1}},
    ]
    rows = judged(tmp_path, *records, sources={"web": source})
    assert rows.select("event_name", "value").rows() == [("cart.seen", Decimal("3.3")), ("cart.left", None)]


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
