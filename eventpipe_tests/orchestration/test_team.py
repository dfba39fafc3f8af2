"""A team's deployment for real: webserver, daemon and code location as processes, their storage in PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eventpipe.project.folder import Project
from eventpipe_tests.builders import event, export, project

DEPLOY = Path(__file__).parents[2] / "deploy"
LOCATION = {"repositoryLocationName": "eventpipe", "repositoryName": "__repository__"}
_SENSORS = (
    "query($r: RepositorySelector!) { sensorsOrError(repositorySelector: $r) { ... on Sensors { results { name } } } }"
)
_SCHEDULES = (
    "query($r: RepositorySelector!) { schedulesOrError(repositorySelector: $r)"
    " { ... on Schedules { results { scheduleState { id } } } } }"
)
_BACKFILL = (
    "mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p)"
    " { __typename ... on LaunchBackfillSuccess { backfillId } } }"
)
DATES = ("2026-01-05", "2026-01-06", "2026-01-07")


class Team:
    """The three processes, and what the webserver answers."""

    def __init__(self, project: Project, home: Path, url: str) -> None:
        self.project = project
        self._home = home
        self._code, self._web = _free_port(), _free_port()
        dagsters = url.replace("postgresql://", "postgresql+psycopg2://", 1)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVENTPIPE_")}
        self._environ = inherited | {
            "EVENTPIPE_PROJECT": str(project.root),
            "EVENTPIPE_SERVING_URL": url,
            "EVENTPIPE_OPS": url,
            "EVENTPIPE_SCHEDULE": "* * * * *",
            "EVENTPIPE_SETTLE": "1s",
            "DAGSTER_HOME": str(home),
            "DAGSTER_POSTGRES_URL": f"{dagsters}{'&' if '?' in url else '?'}options=-csearch_path%3Ddagster",
        }

    @contextmanager
    def up(self) -> Iterator[None]:
        code = ("dagster", "code-server", "start", "-m", "eventpipe.definitions", "-h", "127.0.0.1", "-p", self._code)
        workspace = self._home / "workspace.yaml"
        server = {"host": "127.0.0.1", "port": int(self._code), "location_name": "eventpipe"}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
        processes = []
        try:
            processes.append(self._start(*code))
            _until(lambda: _listens(int(self._code)), 400)
            web = ("dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", self._web)
            processes.append(self._start(*web))
            processes.append(self._start("dagster._daemon", "run", "-w", workspace))
            _until(lambda: _listens(int(self._web)), 400)
            yield
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def ask(self, query: str, **variables: object) -> Any:
        """What GraphQL answers."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._web}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]

    def runs(self, **tags: str) -> list[tuple[str, str]]:
        """Ids and statuses of the runs with these tags."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        query = "query($f: RunsFilter) { runsOrError(filter: $f) { ... on Runs { results { runId status } } } }"
        found = self.ask(query, f={"tags": wanted})["runsOrError"]["results"]
        return [(each["runId"], each["status"]) for each in found]

    def _start(self, module: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        with (self._home / f"{module}.log").open("ab") as log:  # the process has it open for itself
            return subprocess.Popen(command, env=self._environ, cwd=self._home, stdout=log, stderr=log)


@pytest.mark.soak
def test_a_team_runs_it(tmp_path: Path, database: str) -> None:
    """A sensor sees a new export, a schedule fires, three dates are backfilled through the webserver; all of it is still
    known after everything was stopped and started again.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create schema dagster")
    made = project(tmp_path / "shop")
    for number, day in enumerate(DATES):
        export(made, [event(dedupe_key=f"k{number}", occurred_at=f"{day}T10:00:00Z")], day=date.fromisoformat(day))
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home)
    team = Team(made, home, database)
    with team.up():
        _until(lambda: "new_exports" in json.dumps(team.ask(_SENSORS, r=LOCATION)), 60)
        start = "mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }"
        assert team.ask(start, s={**LOCATION, "sensorName": "new_exports"})["startSensor"]["__typename"] == "Sensor"
        _until(lambda: _succeeded(team.runs(dagster__sensor_name="new_exports")), 400)
        assert _count(database, "events") == 3

        schedule = "mutation($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename } }"
        team.ask(schedule, s={**LOCATION, "scheduleName": "refresh_daily"})
        _until(lambda: _succeeded(team.runs(dagster__schedule_name="refresh_daily")), 400)
        state = team.ask(_SCHEDULES, r=LOCATION)["schedulesOrError"]["results"][0]["scheduleState"]["id"]
        team.ask("mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }", id=state)

        asked = {"assetSelection": [{"path": ["lake"]}], "partitionNames": list(DATES)}
        launched = team.ask(_BACKFILL, p=asked)["launchPartitionBackfill"]
        backfill_id = launched["backfillId"]
        _until(lambda: _succeeded(team.runs(dagster__backfill=backfill_id)), 400)
        before = sorted(run for run, _ in team.runs())
    with team.up():
        assert set(before) <= {run for run, _ in team.runs()}
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) >= 3 from dagster.runs").fetchone() == (True,)


def _succeeded(runs: list[tuple[str, str]]) -> bool:
    assert not [run for run, status in runs if status == "FAILURE"], runs
    return bool(runs) and any(status == "SUCCESS" for _, status in runs)


def _count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"select count(*) from eventpipe.{table}".encode()).fetchone()
    assert found is not None
    return int(found[0])


def _until(is_so: Callable[[], bool], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it does not come about"
        time.sleep(1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
