"""Small exports are judged in one query, and nothing of that shows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from eventpipe.intake.exports import Export
from eventpipe.intake.judge import Judge
from eventpipe.intake.lake import Manifest
from eventpipe.project.folder import Project
from eventpipe_tests.builders import DAY, event, export, lake_rows, land, ledger, lines, project

CONTENTS: dict[str, bytes] = {
    "a.jsonl": lines(event(), "no json", event(occurred_at=None), event(customer_id=None)),
    "b.jsonl": b"",
    "c.jsonl": lines(event()).decode().encode("utf-16"),
    "d.jsonl": lines(event(properties={"a": 1}), {"events": [event(), event(customer_id="c2")]}),
    "e.jsonl": lines({"events": [event(), 1]}),
    "f.jsonl": b'{"event_name": "page.seen", "customer_id": "c1", "properties": {"a": 1, "a": 2}}\n',
    "g.csv": b"event_name,customer_id\npage.seen,c1\npage.seen\n",
    "h.csv": b"event_name,customer_id\npage.seen,c3\n",
    "i.csv": b"event_name,email\npage.seen,a@b.co\n",
    "j.jsonl.gz": b"no gzip",
    "k.jsonl": lines(event(occurred_at="2026-01-07T12:00:00Z"), "\xff", event(event_name="x" * 101)),
}


def arranged(folder: Path) -> Project:
    made = project(folder)
    for name, content in CONTENTS.items():
        # A date of its own for each: it decides what is out of range, and makes the ids of events without a key.
        export(made, content, name=name, day=DAY + timedelta(days=list(CONTENTS).index(name) % 3))
    return made


def test_exports_judged_together_are_what_they_are_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = arranged(tmp_path / "together")
    alone: list[str] = []
    judged = Judge.judged

    def noted(judge: Judge, one: Export) -> tuple[Manifest, Path]:
        alone.append(one.key.file)
        return judged(judge, one)

    monkeypatch.setattr(Judge, "judged", noted)
    outcomes = {name: landed.outcome for name, landed in land(together).items()}
    assert sorted(alone) == ["c.jsonl", "f.jsonl", "i.csv", "j.jsonl.gz"]
    assert {name for name, outcome in outcomes.items() if outcome == "refused"} == {"c.jsonl", "j.jsonl.gz"}

    monkeypatch.setattr(Judge, "judged_together", lambda *_: {})
    apart = arranged(tmp_path / "apart")
    assert outcomes == {name: landed.outcome for name, landed in land(apart).items()}
    assert lake_rows(together).equals(lake_rows(apart))
    told = [
        {
            name: (m.status, m.reason, m.lines, m.accepted, m.rejected, m.blank, m.data)
            for name, m in ledger(made).items()
        }
        for made in (together, apart)
    ]
    assert told[0] == told[1]


def test_what_the_engine_refuses_together_is_landed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        export(made, [event()], name=name)
    monkeypatch.setattr("eventpipe.intake.together._TABLE", "no table's name")
    assert {name: landed.outcome for name, landed in land(made).items()} == {"a.jsonl": "landed", "b.jsonl": "landed"}
