"""JSON lines, documents and batch bodies."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import polars as pl
import pytest

from eventpipe_tests.builders import (
    accepted,
    event,
    export,
    judged,
    land,
    landed,
    ledger,
    lines,
    only,
    project,
    reasons,
)

FINE = event()
NOT_JSON = {
    "NaN": '{"event_name": "a", "properties": {"n": NaN}}',
    "Infinity": '{"event_name": "a", "properties": {"n": [Infinity]}}',
    "-Infinity": '{"event_name": "a", "properties": {"n": -Infinity}}',
    "nan in other letters": '{"event_name": "a", "n":nAn}',
    "trailing comma in an object": '{"event_name": "a",}',
    "trailing comma in a list": '{"event_name": "a", "n": [1, ]}',
    "trailing garbage": '{"event_name": "a"}}',
    "two records": '{"event_name": "a"} {"event_name": "b"}',
    "comment": '{"event_name": "a"} // note',
    "single quotes": "{'event_name': 'a'}",
    "cut short": '{"event_name": "a", "prop',
    "NUL escape": '{"event_name": "a\\u0000b"}',
    "NUL escape after a backslash": '{"event_name": "a\\\\\\u0000b"}',
    "lone high surrogate": '{"event_name": "\\ud800"}',
    "lone low surrogate": '{"event_name": "\\udc00x"}',
    "control character": '{"event_name": "a\tb"}',
    "leading zero": '{"n": 01}',
    "text": '"event"',
    "number": "42",
    "null": "null",
    "list": '[{"event_name": "a"}]',
    "words": "yesterday nothing happened",
}


def nested(depth: int) -> str:
    """An event whose brackets nest to this depth, its own pair and that of `properties` included."""
    inner = "[" * (depth - 2) + "]" * (depth - 2)
    return json.dumps(FINE)[:-1] + ', "properties": {"deep": ' + inner + "}}"


@pytest.fixture(scope="module")
def rows_of_not_json(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Each of NOT_JSON on a line of its own, with an event before and after it."""
    return judged(
        tmp_path_factory.mktemp("not_json"),
        *(each for line in NOT_JSON.values() for each in (FINE, line)),
        FINE,
    )


@pytest.mark.parametrize("what", NOT_JSON)
def test_what_is_no_json_object_is_rejected(what: str, rows_of_not_json: pl.DataFrame) -> None:
    row = only(rows_of_not_json.filter(pl.col("line") == 2 + 2 * list(NOT_JSON).index(what)))
    assert row["reasons"] == ["json.invalid"]
    assert row["raw"] == NOT_JSON[what]


def test_a_rejected_line_costs_no_other(rows_of_not_json: pl.DataFrame) -> None:
    assert rows_of_not_json["status"].to_list() == ["accepted", "rejected"] * len(NOT_JSON) + ["accepted"]


def test_what_only_looks_like_broken_json_is_accepted(tmp_path: Path) -> None:
    inside = {
        "nan": ":NaN",
        "list": "[1, Infinity, ]",
        "comma": ', } ,]"',
        "nul": "a\\u0000b",
        "brackets": "[[[[[[[[[[{{{{{{{{{{{{{{{{{{{{{{{{{{",
        "pair": "😀",
        "NaN,": 1,
    }
    row = accepted(judged(tmp_path, event(properties=inside)))
    assert row["properties"] == inside


def test_nesting_of_32_is_accepted_and_of_33_rejected(tmp_path: Path) -> None:
    rows = judged(tmp_path, nested(32), nested(33), nested(500), FINE)
    assert reasons(rows) == [[], ["json.depth"], ["json.depth"], []]


def test_many_brackets_side_by_side_are_not_deep(tmp_path: Path) -> None:
    accepted(judged(tmp_path, event(properties={"pairs": [{"a": []}] * 40})))


def test_the_depth_limit_is_a_setting(tmp_path: Path) -> None:
    assert reasons(judged(tmp_path, nested(5), nested(4), limits={"depth": 4})) == [["json.depth"], []]


def test_of_a_key_given_twice_the_first_wins(tmp_path: Path) -> None:
    line = (
        '{"event_name": "first", "event_name": "second", "customer_id": "c1", "customer_id": "c2",'
        ' "properties": {"plan": "basic", "other": 1, "plan": "pro"}}'
    )
    row = accepted(judged(tmp_path, line))
    assert (row["event_name"], row["customer_id"]) == ("first", "c1")
    assert row["properties"] == {"plan": "basic", "other": 1}
    assert row["property_types"] == "plan\x1fother\x1eVARCHAR\x1fUBIGINT"


def test_a_key_given_twice_leaves_the_judgement_of_other_lines_as_it_is(tmp_path: Path) -> None:
    """Lines are judged by themselves, in whatever file they lie."""
    twice = '{"event_name": "a", "customer_id": "c1", "properties": {"plan": "basic", "plan": "pro"}}'
    others = [event(properties=each) for each in ("not json", '{"broken": ', [1, 2], 5, True)]
    without, together = judged(tmp_path / "without", *others), judged(tmp_path / "together", twice, *others)
    assert reasons(together) == [[], *reasons(without)]
    assert [] not in reasons(without)


def test_a_key_given_twice_in_redo_data_costs_nothing(tmp_path: Path) -> None:
    line = '{"eventName": "a", "customer": {"id": "c"}, "data": {"plan": "basic", "plan": "pro", "zero": 0}}'
    assert accepted(judged(tmp_path, line, sources={"web": "redo"}))["properties"] == {"plan": "basic"}


def test_a_line_over_one_mebibyte_is_rejected_and_one_of_that_size_is_not(tmp_path: Path) -> None:
    def of_size(size: int) -> str:
        empty = json.dumps(event(properties={"text": ""}))
        return empty.replace('""', f'"{"x" * (size - len(empty))}"')

    rows = judged(tmp_path, FINE, of_size(1 << 20), of_size((1 << 20) + 1), FINE)
    assert reasons(rows) == [[], [], ["line.too_long"], []]


def test_a_line_that_is_not_utf8_keeps_its_bytes(tmp_path: Path) -> None:
    bad = b'{"event_name": "caf\xe9"}'
    rows = judged(tmp_path, FINE, bad, FINE)
    assert reasons(rows) == [[], ["encoding.invalid"], []]
    assert base64.b64decode(rows["raw"][1]) == bad
    assert rows["raw_is_base64"].to_list() == [False, True, False]


@pytest.mark.parametrize("before", [" ", "\t", " \t ", "      "])
def test_blanks_around_a_record_are_no_part_of_it(before: str, tmp_path: Path) -> None:
    accepted(judged(tmp_path, before + json.dumps(FINE) + before))


def test_the_raw_text_of_a_rejected_line_is_kept_without_its_break(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, b'  {"event_name":  "a"}  \r\n')
    assert landed(made)["raw"].to_list() == ['  {"event_name":  "a"}  ']


def test_lines_are_accepted_rejected_or_blank(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, lines(FINE, "", "not json", "  ", b"\xff", FINE, ""))
    land(made)
    manifest = ledger(made)["events.jsonl"]
    assert (manifest.lines, manifest.accepted, manifest.rejected, manifest.blank) == (7, 2, 2, 3)


@pytest.mark.parametrize("preset", ["canonical", "customerio"])
def test_an_object_written_as_a_string_is_unpacked_and_held_to_the_same_rules(preset: str, tmp_path: Path) -> None:
    packed = ['{"a": [1, "NaN, ]", null]}', "{}", nested(32)]
    broken = ["{", '{"a": NaN}', '{"a": 1,}', '{"a": "\\u0000"}', '{"a": 1} x', nested(33), '{"a": "\\ud800"}']
    sent = [{"event_name": "a", "name": "a", "customer_id": "c", "properties": each} for each in packed + broken]
    rows = judged(tmp_path, *sent, sources={"web": preset})
    assert reasons(rows) == [[]] * len(packed) + [["json.invalid"]] * len(broken)
    assert [json.loads(each) for each in rows["properties"][: len(packed)]] == [json.loads(each) for each in packed]


@pytest.mark.parametrize("preset", ["canonical", "customerio", "redo", "notifuse", "arsel"])
def test_properties_that_are_no_object_are_told_and_not_dropped(preset: str, tmp_path: Path) -> None:
    empty: list[object] = [None, "", "  ", "\t", [], {}]
    told: list[object] = [7, 0, True, "abc", " {}", [{"a": 0}], ["$extra"]]
    name = {"arsel": "event", "redo": "eventName", "customerio": "name"}.get(preset, "event_name")
    person = {"redo": "customer", "customerio": "customer_id", "canonical": "customer_id"}.get(preset, "email")
    field = "data" if preset == "arsel" else "properties"
    sent = [{name: "a", person: "a@example.com", field: each} for each in empty + told]
    rows = judged(tmp_path, *sent, sources={"web": preset})
    registry = ["event_name.unknown"] * (preset == "arsel")
    assert reasons(rows) == [registry] * len(empty) + [[*registry, "property.type:properties"]] * len(told)


# --- documents ---


def test_a_json_array_is_read_as_its_elements(tmp_path: Path) -> None:
    made = project(tmp_path)
    broken = event(event_name=None)
    export(made, json.dumps([FINE, 7, None, broken, FINE], indent=2), name="events.json")
    rows = landed(made)
    assert rows["line"].to_list() == [1, 2, 3, 4, 5]
    assert reasons(rows) == [[], ["json.invalid"], ["json.invalid"], ["event_name.missing"], []]
    assert ledger(made)["events.json"].lines == 5


def test_json_lines_named_json_are_read_as_lines(tmp_path: Path) -> None:
    rows = judged(tmp_path, FINE, "broken", FINE, name="events.json")
    assert reasons(rows) == [[], ["json.invalid"], []]


@pytest.mark.parametrize("first", ['{"event_name": "a', '{"event_name": "a"}}', "", '{"a":' * 20_000 + "1"])
def test_json_lines_named_json_are_told_by_what_follows_a_broken_first_line(first: str, tmp_path: Path) -> None:
    rows = judged(tmp_path, first, FINE, FINE, name="events.json")
    assert reasons(rows)[-2:] == [[], []]


def test_one_event_is_a_document_too(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, json.dumps(FINE, indent=2), name="events.json")
    accepted(landed(made))


@pytest.mark.parametrize(
    "content", ["[{]", "[1, 2", '"text"', "12", "[{},]", '[{"a": 1, }]', "[] []", "", " \n "], ids=repr
)
def test_a_document_that_is_none_is_refused_and_an_empty_one_reported(content: str, tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, content, name="events.json")
    land(made)
    manifest = ledger(made)["events.json"]
    assert manifest.lines == 0
    assert manifest.reason == ("file.document" if content.strip() else None)


def test_what_is_no_number_costs_its_element_of_a_document(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, json.dumps([FINE, event(value=float("nan")), event(text=", ]"), FINE]), name="events.json")
    assert reasons(landed(made)) == [[], ["json.invalid"], [], []]


def test_a_document_in_utf16_or_not_in_utf8_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, json.dumps([FINE]).encode("utf-16"), name="a.json")
    export(made, '[{"event_name": "é"}]'.encode("latin-1"), name="b.json")
    land(made)
    assert {name: each.reason for name, each in ledger(made).items()} == {
        "a.json": "file.encoding",
        "b.json": "file.document",
    }


def test_a_byte_order_mark_before_a_document_is_no_part_of_it(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, b"\xef\xbb\xbf" + json.dumps([FINE]).encode(), name="events.json")
    accepted(landed(made))


# --- many events in one record ---


@pytest.mark.parametrize("name", ["events.json", "events.jsonl"])
def test_a_batch_body_is_read_as_its_elements_with_their_index(name: str, tmp_path: Path) -> None:
    body = {"events": [FINE, event(event_name=None), 7, None, []], "workspace_id": "shop"}
    rows = judged(tmp_path, body, name=name)
    assert reasons(rows) == [[], ["event_name.missing"], *[["json.invalid"]] * 3]
    assert rows["line"].to_list() == [1] * 5
    assert rows["index"].to_list() == [0, 1, 2, 3, 4]
    assert rows["workspace_id"][0] == "shop"


def test_a_field_named_like_the_list_of_a_batch_body_may_be_mapped(tmp_path: Path) -> None:
    source = {"preset": "canonical", "map": {"order_id": "EVENTS", "goal_name": "events.name"}}
    assert (
        accepted(judged(tmp_path, event(EVENTS="o", events={"name": "n"}), sources={"web": source}))["order_id"] == "o"
    )


def test_an_empty_batch_body_is_a_blank_line(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, [{"events": []}, FINE])
    land(made)
    manifest = ledger(made)["events.jsonl"]
    assert (manifest.lines, manifest.accepted, manifest.blank) == (2, 1, 1)


def test_batch_bodies_and_single_events_may_share_a_file(tmp_path: Path) -> None:
    rows = judged(tmp_path, {"batch": [FINE_V2, FINE_V2]}, FINE_V2, sources={"web": "customerio"})
    assert [(line, index) for line, index in rows.select("line", "index").rows()] == [
        (1, 0),
        (1, 1),
        (2, None),
    ]
    assert reasons(rows) == [[], [], []]


FINE_V2 = {
    "type": "person",
    "identifiers": {"id": "c"},
    "action": "event",
    "name": "a",
    "id": "1",
    "attributes": {},
}


def test_an_element_keeps_its_nulls_and_wins_over_the_fields_around_it(tmp_path: Path) -> None:
    around = {"workspace_id": "outer", "deleted_at": "2026-01-05T00:00:00Z"}
    inside = event(email="a@x.com", external_id="1", workspace_id="inner") | {"deleted_at": None}
    rows = judged(tmp_path, {"events": [inside]} | around, sources={"web": "notifuse"})
    assert accepted(rows)["workspace_id"] == "inner"
    assert accepted(rows)["deletion"] == "restored"


def test_explode_reads_each_element_of_a_list_with_the_other_fields_beside_it(tmp_path: Path) -> None:
    source = {
        "explode": "session.hits",
        "map": {"event_name": "action", "customer_id": "user", "occurred_at": "at"},
    }
    record = {
        "user": "c1",
        "at": "2026-01-05T10:00:00Z",
        "session": {"hits": [{"action": "a", "n": 1}, {"action": "b", "user": "c2"}, {}], "id": "s"},
    }
    rows = judged(tmp_path, record, {"user": "c3"}, sources={"web": source})
    assert reasons(rows) == [[], [], ["event_name.missing"], ["explode.missing"]]
    assert rows["event_name"].to_list() == ["a", "b", None, None]
    assert rows["customer_id"].to_list() == ["c1", "c2", "c1", "c3"]
    assert json.loads(rows["properties"][0]) == {"n": 1, "session": {"id": "s"}}


def test_what_record_and_element_call_alike_is_told_apart(tmp_path: Path) -> None:
    order = {
        "id": "ORD1",
        "email": "a@x.example",
        "customer": {"id": 12345678901234567890123},
        "lines": [{"id": 11, "price": "5.00"}, {"id": 12, "price": "7.50", "email": None}],
    }
    own = {
        "order_id": "^.id",
        "dedupe_key": {"sql": "\"^.id\" || '-' || id"},
        "customer_id": "^.customer.id",
        "email": "^.email",
    }
    source = {"explode": "lines", "map": {"event_name": {"value": "order.line"}, "value": "price", **own}}
    rows = judged(tmp_path, order, sources={"shop": source})
    assert rows["order_id"].to_list() == ["ORD1"] * 2
    assert rows["dedupe_key"].to_list() == ["ORD1-11", "ORD1-12"]
    assert rows["customer_id"].to_list() == ["12345678901234567890123"] * 2
    assert rows["email"].to_list() == ["a@x.example"] * 2
    assert [sorted(json.loads(each)) for each in rows["properties"]] == [["customer", "email"]] * 2


@pytest.mark.parametrize("name", ["body.jsonl", "body.json", "list.json", "exploded.jsonl"])
def test_numbers_keep_their_digits_where_a_text_holds_many_events(name: str, tmp_path: Path) -> None:
    others = '"customer_id": 12345678901234567890123, "occurred_at": "2026-01-05T10:00:00Z", "note": "at 02.000, 00000000000000.25"'
    sent = ("149.99995", "12345678901234.5678", "-0.12345000000000001", "1.50", '"12345678901234.5678"')
    elements = ", ".join(f'{{"event_name": "a", {others}, "value": {value}}}' for value in sent)
    content = {"list.json": f"[{elements}]", "exploded.jsonl": f'{{"rows": [{elements}]}}'}
    made = project(tmp_path, sources={"web": {"preset": "canonical", **({"explode": "rows"} if "exp" in name else {})}})
    export(made, content.get(name, f'{{"events": [{elements}]}}'), name=name)
    rows = landed(made)
    assert set(rows["customer_id"]) == {"12345678901234567890123"}
    assert [str(value) for value in rows["value"]] == [
        "150.0000",
        "12345678901234.5678",
        "-0.1235",
        "1.5000",
        "12345678901234.5678",
    ]
