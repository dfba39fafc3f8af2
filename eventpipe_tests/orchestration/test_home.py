"""Dagster's state in the project folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import dagster as dg
from sqlalchemy import create_engine, text

from eventpipe.defs.home import SETTINGS, dagster_home, open_instance
from eventpipe_tests.builders import project


def test_settings_are_written_and_kept(tmp_path: Path) -> None:
    made = project(tmp_path)
    settings = dagster_home(made) / "dagster.yaml"
    assert settings.read_text(encoding="utf-8") == SETTINGS
    settings.write_text("telemetry: {enabled: true}\n", encoding="utf-8")
    dagster_home(made)
    assert settings.read_text(encoding="utf-8") == SETTINGS


def test_dagster_takes_the_settings(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home(project(tmp_path)))) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert instance.run_monitoring_enabled is True
        assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"


def test_only_dagsters_files_are_synced_less_and_only_meanwhile(tmp_path: Path) -> None:
    made = project(tmp_path)
    inside, outside = dagster_home(made) / "some.db", tmp_path / "ops.db"
    with open_instance(made):
        assert (synchronous(inside), synchronous(outside)) == (1, 2)
    assert synchronous(inside) == 2
    with sqlite3.connect(inside) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def synchronous(file: Path) -> int:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        found = connection.execute(text("pragma synchronous")).scalar()
    engine.dispose()
    assert isinstance(found, int)
    return found
