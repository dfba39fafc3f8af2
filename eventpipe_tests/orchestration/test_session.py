"""Which stages a run does, whatever the selection of assets asks for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from eventpipe.defs import session
from eventpipe.defs.session import RunSession
from eventpipe.errors import StageFailed
from eventpipe.refresh import RunRequest
from eventpipe_tests.builders import NOW, project


class Recorded:
    """Stands in for Refresh and writes down what is asked of it."""

    done: list[str]

    def __init__(self, *_: object, **__: object) -> None:
        type(self).done = []

    def __enter__(self) -> Recorded:
        self.done.append("begin")
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.done.append(f"end {error}")

    def __getattr__(self, stage: str) -> Any:
        return lambda *_: self.done.append(stage)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSession:
    monkeypatch.setattr(session, "Refresh", Recorded)

    def clock() -> datetime:
        return NOW

    return RunSession(project(tmp_path), RunRequest("r1"), clock)


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        ([], []),
        (["land"], ["begin", "land"]),
        (["model"], ["begin", "resolve", "identify", "model"]),
        (["audit"], ["begin", "audit"]),
        (["publish"], ["begin", "resolve", "identify", "model", "segment", "audit", "decide", "publish"]),
        (
            ["land", "resolve", "identify", "model", "audit", "segment", "publish"],
            ["begin", "land", "resolve", "identify", "model", "segment", "audit", "decide", "publish"],
        ),
    ],
)
def test_what_a_stage_needs_is_done_before_it_and_once(run: RunSession, asked: list[str], done: list[str]) -> None:
    for stage in asked:
        getattr(run, stage)()
    assert Recorded.done == done


def test_a_run_without_a_stage_leaves_no_record(run: RunSession) -> None:
    run.close()
    assert Recorded.done == []


def test_the_first_error_is_what_the_run_ends_with(run: RunSession) -> None:
    run.land()
    for text in ("first", "second"):
        with pytest.raises(StageFailed), run.watched():
            raise StageFailed(text)
    run.close()
    assert Recorded.done[-1] == "end first"
