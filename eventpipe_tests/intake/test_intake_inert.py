"""Quotes, braces and statements are inert text wherever they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eventpipe.project.folder import load_project
from eventpipe_tests.builders import (
    accepted,
    event,
    export,
    judged,
    landed,
    project,
    reasons,
)

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
            **dict.fromkeys(("event_name", "workspace_id", "goal_name"), text),
            **dict.fromkeys(("customer_id", "order_id", "dedupe_key"), text + "!"),
            goal_type="lead",
            properties={text: text},
            extra={text: [text]},
            traits={text: text},
        )
        for text in NASTY
    ]
    rows = judged(tmp_path, *records)
    assert reasons(rows) == [[]] * len(NASTY)
    for column in ("event_name", "workspace_id", "goal_name"):
        assert rows[column].to_list() == NASTY
    for column in ("customer_id", "order_id", "dedupe_key"):
        assert rows[column].to_list() == [text + "!" for text in NASTY]
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
