"""Great Expectations in a process of its own says what it says in this one, and never outlives who asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest

from eventpipe.audit import suites
from eventpipe.audit.judge import Judge
from eventpipe.errors import StageFailed
from eventpipe.project.audit_rules import default_rules
from eventpipe.project.expectations import FRAMES, Expectation, Frame

EXPECTATIONS: list[Expectation] = [each for each in default_rules().expectations if each.of == "event_profile"]
CELL = {"source": "web", "event_name": "order.completed", "day": "2026-01-05"}


def frames(reject_rate: float) -> Mapping[Frame, pd.DataFrame]:
    cell = {**dict.fromkeys(FRAMES["event_profile"], 1000), **CELL, "reject_rate": reject_rate}
    return {"event_profile": pd.DataFrame([cell], columns=list(FRAMES["event_profile"]))}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    """A judge that has to ask another process."""
    monkeypatch.setattr(suites, "is_loaded", lambda: False)
    with Judge() as judge:
        yield judge


def test_it_finds_what_is_found_here(alone: Judge, tmp_path: Path) -> None:
    judged = frames(reject_rate=0.9)
    findings = alone.ask(EXPECTATIONS, judged, tmp_path / "docs")()
    assert findings == list(suites.judge(EXPECTATIONS, judged, None))
    assert "failed" in [each.status for each in findings]
    assert (tmp_path / "docs" / "index.html").exists()


def test_what_cannot_be_judged_is_told_in_a_line(alone: Judge) -> None:
    findings = alone.ask(EXPECTATIONS, {}, None)
    with pytest.raises(StageFailed, match=r"could not be judged \(KeyError: 'event_profile'\)"):
        findings()


def test_what_the_disk_refuses_is_told_as_that(alone: Judge, tmp_path: Path) -> None:
    """A full disk or a folder that may not be written to is no fault of an expectation."""
    (tmp_path / "docs").write_text("no folder")
    findings = alone.ask(EXPECTATIONS, frames(reject_rate=0), tmp_path / "docs" / "deeper")
    with pytest.raises(FileExistsError) as refused:
        findings()
    assert str(refused.value.filename).startswith(str(tmp_path / "docs"))


def test_it_ends_with_whoever_started_it() -> None:
    """Also where that is killed: nobody is left to wait for a question."""
    starts = (
        "import os; from eventpipe.audit.judge import Judge; j = Judge(); j.start(); print(j._process.pid, flush=True)"
    )
    dies = f"{starts}; os.kill(os.getpid(), 9)"
    pid = int(subprocess.run([sys.executable, "-c", dies], stdout=subprocess.PIPE, check=False).stdout)
    left = subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=60, check=False)
    assert left.returncode == 0
