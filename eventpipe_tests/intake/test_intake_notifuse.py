"""Notifuse, and what makes an event the same event (source-systems.md, section 1; spec 1, section 5)."""

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
