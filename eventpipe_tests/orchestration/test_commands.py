"""Dagster's own commands on a project, without a daemon, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from eventpipe.defs.home import dagster_home
from eventpipe.intake.lake import Lake
from eventpipe.project.environment import PROJECT
from eventpipe.project.folder import Project
from eventpipe_tests.builders import event, export, project

ROOT = Path(__file__).parents[2]


def dagster(shop: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        PROJECT: str(shop.root),
        "DAGSTER_HOME": str(dagster_home(shop)),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "dagster", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = project(tmp_path_factory.mktemp("commands"))
    for day in (5, 6, 8):
        export(made, [event(occurred_at=f"2026-01-{day:02}T09:00:00Z")], day=date(2026, 1, day))
    return made


def test_the_workspace_loads(shop: Project) -> None:
    done = dagster(shop, "definitions", "validate", "-w", "workspace.yaml")
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr


def test_a_range_of_landing_dates_is_landed(shop: Project) -> None:
    done = dagster(
        shop,
        *("asset", "materialize", "-m", "eventpipe.definitions"),
        *("--select", "lake", "--partition-range", "2026-01-05...2026-01-07"),
    )
    assert done.returncode == 0, done.stderr
    assert [manifest.landed_on.day for manifest in Lake(shop.lake).manifests()] == [5, 6]
    with dg.DagsterInstance.from_config(str(dagster_home(shop))) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("lake")) == {
            "2026-01-05",
            "2026-01-06",
            "2026-01-07",  # without exports, and known to be
        }
    assert not shop.analytics.exists()
