"""Replay: rejected lines judged by a better definition give what it would have given from the start.

Here: that the published tables say so. Which lines, of which formats: `intake/test_intake_replay.py`.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from eventpipe.erasure.tombstones import NOBODY
from eventpipe.intake.replay import Replayed, Wanted, replay
from eventpipe_tests import builders
from eventpipe_tests.pipeline.published import assert_same
from eventpipe_tests.pipeline.shop import Shop

AS_OF = datetime(2026, 1, 20, tzinfo=UTC)
NOW = datetime(2026, 1, 21, tzinfo=UTC)
SOURCES = {
    "web": "canonical",
    "shop": "redo",
    "sheet": {
        "format": "csv",
        "map": {"event_name": "name", "customer_id": "who", "occurred_at": "at"},
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
    sheet = io.StringIO()
    csv.writer(sheet).writerows([("name", "who", "at", "total"), *(_row(random) for _ in range(12))])
    made.put("sheet", "2026-01-05", "orders.csv", sheet.getvalue().encode())


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


def _row(random: Random) -> tuple[str, ...]:
    name = random.choice(("order.completed", "lead.made"))
    total = random.choice(("ten", 'a long\nway, "indeed"', 'an open "'))
    return name, f"c{random.randint(1, 6)}", random.choice(("2026-01-02T00:00:00Z", "never")), total


def _redo(random: Random, number: int) -> dict[str, object]:
    return {
        "eventName": random.choice(("order.completed", "lead.made")),
        "customer": {"id": f"c{random.randint(1, 6)}"},
        "data": {"total": "ten"},
        "eventTimestamp": "2026-01-02T00:00:00Z",
        "uniqueId": f"u{number}",
    }


def replayed(made: Shop, **wanted: Any) -> list[Replayed]:
    return replay(made.project, Wanted(**wanted), NOW, tombstones=NOBODY)


def test_replay_equals_the_right_definition_from_the_start_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    right = shop(tmp_path / "right", RIGHT)
    put(right, 1)
    from_the_start = right.run(AS_OF)
    late = shop(tmp_path / "late", WRONG)
    put(late, 1)
    before = late.run(AS_OF)
    assert before["rejected_events"].rows.total() > from_the_start["rejected_events"].rows.total()
    shutil.rmtree(late.project.exports)
    late = defined(late, RIGHT)
    assert late.run(AS_OF)["rejected_events"] == before["rejected_events"], "nothing is judged again unless asked for"
    done = replayed(late)
    assert {each.manifest.source for each in done if each.changed} == set(SOURCES)
    assert_same(late.run(AS_OF), from_the_start, by=("replayed", "from the start"))
    lake = content(late.project.lake)
    again = replayed(late)
    assert again, "lines that nobody can read are still there"
    assert not any(each.changed for each in again)
    assert content(late.project.lake) == lake


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
