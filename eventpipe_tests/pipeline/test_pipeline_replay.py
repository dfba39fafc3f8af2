"""Replay: rejected lines judged by a better definition give what it would have given from the start (spec 5, "Undoable")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventpipe.intake.replay import Replayed, Wanted, replay
from eventpipe_tests import builders
from eventpipe_tests.pipeline.published import assert_same
from eventpipe_tests.pipeline.shop import Shop, rows

AS_OF = datetime(2026, 1, 20, tzinfo=UTC)
NOW = datetime(2026, 1, 21, tzinfo=UTC)
SOURCES = {
    "web": "canonical",
    "shop": "redo",
    "sheet": {
        "format": "csv",
        "map": {"event_name": "name", "customer_id": "who", "occurred_at": "at", "properties": "more"},
    },
}

Definition = Mapping[str, Any]


def plan(total: str) -> list[Definition]:
    """Orders whose total is required as `total`, and leads that are always right."""
    order = {"name": "order.completed", "properties": [{"name": "total", "type": total, "required": True}]}
    return [order, {"name": "lead.made", "properties": [{"name": "page", "type": "string"}]}]


WRONG, RIGHT = plan("number"), plan("string")
"""Every total is a word, so the wrong plan rejects all orders and the right one none of them."""


def shop(folder: Path, events: Sequence[Definition]) -> Shop:
    return Shop(builders.project(folder, sources=SOURCES, events=events))


def defined(made: Shop, events: Sequence[Definition]) -> Shop:
    """The same project with other definitions."""
    return Shop(builders.project(made.project.root, sources=SOURCES, events=events))


def put(made: Shop, seed: int) -> None:
    """Exports of three formats and several days, with orders, leads, repeated keys, and lines that nobody can read."""
    random = Random(seed)
    for number in range(6):
        day = f"2026-01-{random.randint(3, 9):02}"
        lines = [_line(random) for _ in range(random.randint(2, 20))]
        made.put("web", day, f"{number}.jsonl", b"\n".join(lines) + b"\n")
    batch = {"events": [_redo(random, n) for n in range(5)]}
    made.put("shop", "2026-01-04", "bulk.json", json.dumps(batch).encode())


def _line(random: Random) -> bytes:
    chance = random.random()
    if chance < 0.1:
        return random.choice((b"", b"{", b'{"event_name": "order.completed"}', b"\xff\xfe"))
    name = random.choice(("order.completed", "lead.made"))
    return json.dumps(
        builders.event(
            event_name=name,
            customer_id=f"c{random.randint(1, 6)}",
            anonymous_id=random.choice((None, f"a{random.randint(1, 4)}")),
            occurred_at=f"2026-01-0{random.randint(1, 3)}T0{random.randint(0, 9)}:00:00Z",
            dedupe_key=random.choice((None, f"k{random.randint(1, 8)}")),
            properties={"total": random.choice(("ten", "twenty"))} if name == "order.completed" else {"page": "home"},
        )
    ).encode()


def _redo(random: Random, number: int) -> dict[str, object]:
    return {
        "eventName": random.choice(("order.completed", "lead.made")),
        "customer": {"id": f"c{random.randint(1, 6)}"},
        "data": {"total": "ten"},
        "eventTimestamp": "2026-01-02T00:00:00Z",
        "uniqueId": f"u{number}",
    }


def replayed(made: Shop, **wanted: Any) -> list[Replayed]:
    return replay(made.project, Wanted(**wanted), NOW)


@pytest.mark.parametrize("seed", [1, 2])
def test_replay_equals_the_right_definition_from_the_start(tmp_path: Path, seed: int) -> None:
    right = shop(tmp_path / "right", RIGHT)
    put(right, seed)
    from_the_start = right.run(AS_OF)
    late = shop(tmp_path / "late", WRONG)
    put(late, seed)
    before = late.run(AS_OF)
    assert before["rejected_events"].rows.total() > from_the_start["rejected_events"].rows.total()
    late = defined(late, RIGHT)
    assert late.run(AS_OF)["rejected_events"] == before["rejected_events"], "nothing is judged again unless asked for"
    done = replayed(late)
    assert {each.outcome for each in done} <= {"replayed", "unchanged"}
    assert sum(each.accepted for each in done) > 0
    assert_same(late.run(AS_OF), from_the_start, by=("replayed", "from the start"))


def test_a_second_replay_changes_nothing(tmp_path: Path) -> None:
    made = shop(tmp_path, WRONG)
    put(made, 3)
    made.run(AS_OF)
    made = defined(made, RIGHT)
    replayed(made)
    tables, lake = made.run(AS_OF), content(made.project.lake)
    again = replayed(made)
    assert again, "lines that nobody can read are still there"
    assert {each.outcome for each in again} == {"unchanged"}
    assert content(made.project.lake) == lake
    assert_same(made.run(AS_OF), tables, by=("after the second replay", "after the first"))


def test_only_what_is_asked_for_is_judged_again(tmp_path: Path) -> None:
    made = shop(tmp_path, WRONG)
    order = builders.event(
        event_name="order.completed", properties={"total": "ten"}, occurred_at="2026-01-03T00:00:00Z"
    )
    for day in ("2026-01-03", "2026-01-05"):
        made.put("web", day, "a.jsonl", builders.lines(order, order | {"occurred_at": "no time"}))
    made.run(AS_OF)
    made = defined(made, RIGHT)
    files = {path.parent.name: path.name for path in made.project.lake.rglob("*.parquet") if path.parent.name > "2026"}
    assert replayed(made, event="lead.made") == []
    assert replayed(made, reason="identifier.missing") == []
    done = replayed(made, reason="property.type", since=datetime(2026, 1, 4).date())
    assert [(str(each.manifest.key), each.lines, each.accepted) for each in done] == [("web/2026-01-05/a.jsonl", 2, 1)]
    tables = made.run(AS_OF)
    left = [(str(day), line) for day, line in rows(tables, "rejected_events", "landed_on", "line")]
    assert left == [("2026-01-03", 1), ("2026-01-03", 2), ("2026-01-05", 2)]
    assert [str(day) for (day,) in rows(tables, "events", "landed_on")] == ["2026-01-05"]
    now = {path.parent.name: path.name for path in made.project.lake.rglob("*.parquet") if path.parent.name > "2026"}
    assert now["2026-01-03"] == files["2026-01-03"]
    assert now["2026-01-05"] != files["2026-01-05"]
    assert {each.accepted for each in replayed(made, reason="property.type:total", event="order.completed")} == {1}


def test_what_was_accepted_stays_as_it_was_judged(tmp_path: Path) -> None:
    made = shop(tmp_path, RIGHT)
    order = builders.event(
        event_name="order.completed", properties={"total": "ten"}, occurred_at="2026-01-03T00:00:00Z"
    )
    made.put("web", "2026-01-03", "a.jsonl", builders.lines(order, "{"))
    made.run(AS_OF)
    made = defined(made, WRONG)  # it would reject the order
    assert [each.outcome for each in replayed(made)] == ["unchanged"]
    assert made.run(AS_OF)["events"].rows.total() == 1


def test_an_export_that_is_gone_or_changed_is_told_and_left(tmp_path: Path) -> None:
    made = shop(tmp_path, WRONG)
    order = builders.event(
        event_name="order.completed", properties={"total": "ten"}, occurred_at="2026-01-03T00:00:00Z"
    )
    gone = made.put("web", "2026-01-03", "gone.jsonl", builders.lines(order))
    other = made.put("web", "2026-01-03", "other.jsonl", builders.lines(order))
    before = made.run(AS_OF)
    gone.unlink()
    other.write_bytes(builders.lines(order, order))
    lake = content(made.project.lake)
    done = replayed(defined(made, RIGHT))
    assert {each.manifest.file: each.outcome for each in done} == {"gone.jsonl": "gone", "other.jsonl": "changed"}
    assert content(made.project.lake) == lake
    assert before["rejected_events"].rows.total() == 2


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
