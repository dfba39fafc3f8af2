"""What ends dbt before its models do is told, and an interrupt stays one."""

from __future__ import annotations

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
        (RuntimeError("no room\n  left"), "dbt run ended early: RuntimeError: no room left "),
        (TimeoutError(), "dbt run ended early: TimeoutError, without a message. "),
    ],
)
def test_what_ended_dbt_is_told(error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageFailed) as raised:
        ending(tmp_path, error, monkeypatch)
    assert str(raised.value).startswith(told)


def test_an_interrupt_in_dbt_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        ending(tmp_path, KeyboardInterrupt(), monkeypatch)
