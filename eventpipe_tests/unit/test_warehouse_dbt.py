"""What ends dbt before its models do is told, a failing model points to its SQL, and an interrupt stays one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eventpipe.errors import StageFailed
from eventpipe.warehouse.dbt import Dbt
from eventpipe_tests.builders import project


def ending(folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs dbt, in which this is raised."""

    def raises(*_: object) -> None:
        raise error

    monkeypatch.setattr("dbt.cli.requires.load_profile", raises)
    Dbt(project(folder)).run("tag:marts")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("no room\n  left"), " ended early: RuntimeError: no room left "),
        (TimeoutError(), " ended early: TimeoutError, without a message. "),
    ],
)
def test_what_ended_dbt_is_told(error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageFailed) as raised:
        ending(tmp_path, error, monkeypatch)
    assert told in str(raised.value)  # of a run, or where nothing is parsed yet, of the parsing


def test_a_failing_model_points_to_its_sql(tmp_path: Path) -> None:
    # Nothing is planned: the first model has nothing to read.
    with pytest.raises(StageFailed) as raised:
        Dbt(project(tmp_path)).run("repeated_events")
    assert "The model repeated_events failed: " in str(raised.value)
    [sql] = re.findall(r"\(its SQL: (.*)\)", str(raised.value))
    assert "having count(*) > 1" in Path(sql).read_text(encoding="utf-8")


def test_an_interrupt_in_dbt_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        ending(tmp_path, KeyboardInterrupt(), monkeypatch)
