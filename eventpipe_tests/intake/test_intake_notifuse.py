"""Notifuse, and what makes an event the same event."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import polars as pl

from eventpipe_tests.builders import (
    accepted,
    export,
    judged,
    landed,
    project,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    seen,
)


def notifuse(folder: Path, *records: Mapping[str, object]) -> pl.DataFrame:
    sent: dict[str, object] = {
        "email": "a@b.co",
        "event_name": "order.completed",
        "external_id": "o1",
        "occurred_at": "2026-01-05T10:00:00Z",
    }
    return judged(folder, *({**sent, **fields} for fields in records), sources={"web": "notifuse"})


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


def test_what_programs_write_that_have_no_key_is_none(tmp_path: Path) -> None:
    sent = {"event_name": "a", "customer_id": "c", "occurred_at": "2026-01-05T10:00:00Z"}
    none: list[object] = ["null", "None", " undefined ", "False", "NaN", "[object Object]", {}, []]
    keys: list[object] = ["0", "-1", "nullable", {"id": 1}, [17], "undefined undefined"]
    definition = {"name": "a", "dedupe_on": "order_id"}
    lines = [{**sent, "dedupe_key": each, "order_id": each} for each in [*none, *keys] for _ in range(2)]
    rows = judged(tmp_path, *lines, events=[definition])
    without, with_key = rows.head(2 * len(none)), rows.tail(2 * len(keys))
    assert reasons(rows) == [[]] * len(rows)
    assert without["event_id"].n_unique() == len(without)
    assert without.select("dedupe_key", "order_id", "order_key").null_count().row(0) == (len(without),) * 3
    assert without["flags"].to_list() == [["dedupe_key.placeholder", "order_id.placeholder"]] * len(without)
    assert with_key["event_id"].n_unique() == with_key["order_key"].n_unique() == len(keys)
    assert with_key["flags"].null_count() == len(with_key)


def test_an_order_whose_id_no_program_knew_is_an_order_of_its_own(tmp_path: Path) -> None:
    ticket = {"name": "ticket", "type": "string", "maps_to": "order_id"}
    card = {"name": "card", "type": "string", "maps_to": "goal_name"}
    definitions = [
        {"name": "a", "dedupe_on": "ticket", "properties": [ticket]},
        {"name": "b", "dedupe_on": "card", "properties": [card]},
    ]
    sent = [
        {"event_name": name, "customer_id": "c", "properties": {on: each}}
        for name, on in (("a", "ticket"), ("b", "card"))
        for each in ("undefined", "t1")
    ]
    rows = judged(tmp_path, *sent, events=definitions)
    assert rows.select("order_id", "order_key").rows() == [(None, None), ("t1", "t1"), (None, None), (None, "t1")]
