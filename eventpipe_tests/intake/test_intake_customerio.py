"""Customer.io: the track API, the Pipelines calls and the storage exports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventpipe.project.folder import Project
from eventpipe_tests.builders import (
    accepted,
    export,
    judged,
    landed,
    project,
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


def customerio(folder: Path, *records: object) -> pl.DataFrame:
    return judged(folder, *records, sources={"web": "customerio"})


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


def test_customerio_identify_names_the_device_among_the_attributes(tmp_path: Path) -> None:
    person = {"type": "person", "identifiers": {"id": "c1"}}
    rows = customerio(
        tmp_path,
        person | {"action": "identify", "attributes": {"anonymous_id": "x", "plan": "pro"}},
        person | {"action": "event", "name": "seen", "attributes": {"anonymous_id": "x"}},
    )
    assert [json.loads(each) for each in rows["identifiers"]] == [
        [["customer_id", "c1"], ["anonymous_id", "x"]],
        [["customer_id", "c1"]],
    ]
    assert json.loads(rows["traits"][0]) == {"anonymous_id": "x", "plan": "pro"}


@pytest.mark.parametrize(
    ("previous", "identifiers"),
    [
        ({"previousId": "x"}, [["customer_id", "c1"], ["anonymous_id", "x"]]),
        ({"previousId": "x", "anonymousId": ""}, [["customer_id", "c1"], ["anonymous_id", "x"]]),
        ({"previousId": "x", "anonymousId": "x"}, [["customer_id", "c1"], ["anonymous_id", "x"]]),
        (
            {"previousId": "c0", "anonymousId": "x"},
            [["customer_id", "c1"], ["customer_id", "c0"], ["anonymous_id", "x"]],
        ),
        ({"previousId": "A@b.co"}, [["customer_id", "c1"], ["email", "a@b.co"]]),
        (
            {"previous_id": "A@b.co", "anonymous_id": "x"},
            [["customer_id", "c1"], ["email", "a@b.co"], ["anonymous_id", "x"]],
        ),
    ],
)
def test_customerio_alias_ties_the_id_of_before(
    previous: dict[str, str], identifiers: list[list[str]], tmp_path: Path
) -> None:
    row = accepted(customerio(tmp_path, {"type": "alias", "userId": "c1", **previous}))
    assert (row["kind"], row["identifiers"]) == ("alias", identifiers)


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
        {"type": "group", "groupId": "g1", "objectTypeId": "1", "traits": {"email": "team@b.co"}, **both},
    )
    assert rows["kind"].to_list() == ["track", "identify", "alias", "track", "track"]
    assert rows["event_name"].to_list() == ["Order Completed", "identify", "alias", "seen", "group"]
    assert json.loads(rows["properties"][4]) == {"email": "team@b.co", "group_id": "g1", "object_type_id": "1"}
    assert rows["traits"].to_list()[1:] == ['{"email":"a@b.co"}', None, '{"email":"not@identifier.co"}', None]
    assert [json.loads(each) for each in rows["identifiers"]] == [
        [["customer_id", "c1"], ["anonymous_id", "x"]],
        [["customer_id", "c1"], ["email", "a@b.co"], ["anonymous_id", "x"]],
        [["customer_id", "c1"], ["anonymous_id", "x"]],
        [["anonymous_id", "x"]],
        [["customer_id", "c1"], ["anonymous_id", "x"]],
    ]
    assert rows["dedupe_key"].to_list() == ["m", "m", None, None, "m"]
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
    "group": {
        "id": "m5",
        "sent_at": "2026-01-05T10:00:00Z",
        "user_id": "c1",
        "group_id": "g1",
        "object_type_id": "1",
        "traits": '{"plan": "gold"}',
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
    storage_export(made, "track", ending, f"shop_pages_or_identifies_x.1.7.track.{ending}")
    rows = landed(made)
    by_file = {row["file"].removesuffix(f".{ending}").removeprefix("shop"): row for row in rows.iter_rows(named=True)}
    track = by_file[".production.7.track"]
    assert (track["kind"], track["event_name"], track["dedupe_key"]) == ("track", "Order Completed", "m1")
    assert json.loads(track["properties"]) == {"total": 12.5, "items": ["a"]}
    assert track["identifiers"] == '[["anonymous_id","x"]]'
    named_like_another = by_file["_pages_or_identifies_x.1.7.track"]
    assert (named_like_another["kind"], named_like_another["event_name"]) == ("track", "Order Completed")
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
    group = by_file[".production.7.group"]
    assert json.loads(group["properties"]) == {"plan": "gold", "group_id": "g1", "object_type_id": "1"}
    assert {row["occurred_at"].isoformat() for row in by_file.values()} == {AT}


def test_a_text_with_nothing_in_it_is_no_value_and_hides_none(tmp_path: Path) -> None:
    nothings = ("", " ", "\t\u00a0")
    rows = judged(
        tmp_path,
        *({"type": "page", "name": nothing, "userId": nothing, "anonymousId": "x"} for nothing in nothings),
        *(
            {"action": "identify", "identifiers": {"email": nothing}, "attributes": {"email": "a@b.co"}}
            for nothing in nothings
        ),
        sources={"web": "customerio"},
    )
    assert reasons(rows) == [[]] * 6
    assert rows["event_name"].to_list() == ["page"] * 3 + ["identify"] * 3
    assert rows["identifiers"].to_list() == ['[["anonymous_id","x"]]'] * 3 + ['[["email","a@b.co"]]'] * 3
