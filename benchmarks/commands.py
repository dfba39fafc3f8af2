"""The commands that are timed, each in a process of its own, and what they say about their stages."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.floor import dbt_command, write_dbt_project
from benchmarks.measure import CommandFailed, Measurement, measure
from benchmarks.outcome import Outcome


@dataclass(frozen=True)
class Stage:
    """A named part of a run and its wall seconds."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Timed:
    """A finished command with its stages, in order; empty where it tells none."""

    measurement: Measurement
    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        return self.measurement.seconds


@dataclass(frozen=True)
class Yardstick:
    """A finished run of the plain script."""

    timed: Timed
    outcome: Outcome


@dataclass(frozen=True)
class Intake:
    """A finished landing: what it cost and how many lines it accepted."""

    measurement: Measurement
    accepted: int


@dataclass(frozen=True)
class Audited:
    """Seconds of an audit by part, and of its slowest models and tests."""

    profile: float
    tests: float
    library: float
    checks: float
    slowest: dict[str, float]

    @property
    def stage(self) -> float:
        """What the stage takes; the profile's models belong to the one before it."""
        return self.tests + self.library + self.checks

    @property
    def stages(self) -> tuple[Stage, ...]:
        parts = (("profile", self.profile), ("tests", self.tests), ("library", self.library), ("checks", self.checks))
        slowest = tuple(Stage(f"({name})", seconds) for name, seconds in self.slowest.items())
        return tuple(Stage(name, seconds) for name, seconds in parts) + slowest


def eventpipe_run(project: Path, as_of: date) -> Timed:
    """Time `eventpipe run` on the project, as of the start of a day."""
    command = [sys.executable, "-m", "eventpipe"]
    measured = measure([*command, "run", "--project", str(project), "--json", "--as-of", as_of.isoformat()])
    stages = stages_in(measured.stdout)
    if not stages:
        try:
            stages = stages_in(measure([*command, "status", "--project", str(project), "--json"]).stdout)
        except CommandFailed:
            # Stage times are shown where they are known; the measurement stands without them.
            stages = ()
    return Timed(measured, stages)


def yardstick_run(project: Path, database: Path) -> Yardstick:
    """Time the plain script on the project; its database file is removed afterwards."""
    _remove_database(database)
    measured = measure([sys.executable, "-m", "benchmarks.yardstick", str(project), str(database)])
    _remove_database(database)
    told = json.loads(measured.stdout)["outcome"]
    outcome = Outcome(told["events"], told["contacts"], Decimal(told["purchases"]))
    return Yardstick(Timed(measured, stages_in(measured.stdout)), outcome)


def intake_run(project: Path) -> Intake:
    """Time the landing of all exports, without the stages after it."""
    measured = measure([sys.executable, "-m", "benchmarks.intake_only", str(project)])
    return Intake(measured, accepted=int(measured.stdout.split()[-1]))


def segments_run(project: Path) -> dict[str, Any]:
    """Seconds of goals, RFM and segments on a project that was run, by part (see `benchmarks.segments_only`)."""
    measured = measure([sys.executable, "-m", "benchmarks.segments_only", str(project)])
    told: dict[str, Any] = json.loads(measured.stdout.splitlines()[-1])
    return told


def audit_run(project: Path) -> Audited:
    """Profile and audit again what the only run of a project made (see `benchmarks.audit_only`)."""
    measured = measure([sys.executable, "-m", "benchmarks.audit_only", str(project)])
    told = json.loads(measured.stdout.splitlines()[-1])
    return Audited(told["profile"], told["tests"], told["import"], told["checks"], told["slowest"])


def automations_run(project: Path) -> dict[str, float]:
    """Figures of decisions and deliveries on a project that was run (see `benchmarks.automations_only`)."""
    measured = measure([sys.executable, "-m", "benchmarks.automations_only", str(project)])
    told: dict[str, float] = json.loads(measured.stdout.splitlines()[-1])
    return told


def publish_run(before: Path, after: Path) -> dict[str, float]:
    """Seconds of publishing to PostgreSQL, by part (see `benchmarks.publish_only`)."""
    measured = measure([sys.executable, "-m", "benchmarks.publish_only", str(before), str(after)])
    told: dict[str, float] = json.loads(measured.stdout.splitlines()[-1])
    return told


def bare_read(project: Path, parquet: Path) -> Measurement:
    """Time DuckDB's reader from the exports into one Parquet file, which is removed afterwards."""
    try:
        return measure([sys.executable, "-m", "benchmarks.bare_read", str(project), str(parquet)])
    finally:
        parquet.unlink(missing_ok=True)


def identity_run(database: Path) -> Timed:
    """Time the identity step on a database with `work.touched_sets`."""
    measured = measure([sys.executable, "-m", "benchmarks.identity_only", str(database)])
    return Timed(measured, stages_in(measured.stdout))


def components_run(database: Path) -> Timed:
    """Time plain connected components on the same database's ready codes."""
    measured = measure([sys.executable, "-m", "benchmarks.plain_components", str(database)])
    return Timed(measured, stages_in(measured.stdout))


def dagster_floor() -> Measurement:
    """Time a Dagster job of one op that does nothing, run in process."""
    return measure([sys.executable, "-m", "benchmarks.floor"])


def dbt_floor(folder: Path) -> Measurement:
    """Time the first `dbt run` of a new project of one model in `folder`, which is removed afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    write_dbt_project(folder)
    try:
        return measure(dbt_command(folder), cwd=folder)
    finally:
        shutil.rmtree(folder)


def stages_in(output: str) -> tuple[Stage, ...]:
    """The `stages` (name, seconds) of the JSON object in a command's output; empty where it has none.

    The object may span lines and stand after other lines.
    """
    lines = output.splitlines(keepends=True)
    for first, line in enumerate(lines):
        if not line.startswith("{"):
            continue
        try:
            told: Any = json.loads("".join(lines[first:]))
        except json.JSONDecodeError:
            continue
        listed = told.get("stages")
        if isinstance(listed, list):
            return tuple(
                Stage(str(stage["name"]), float(stage["seconds"]))
                for stage in listed
                if isinstance(stage, dict) and "name" in stage and "seconds" in stage
            )
    return ()


def _remove_database(database: Path) -> None:
    database.unlink(missing_ok=True)
    database.with_name(database.name + ".wal").unlink(missing_ok=True)
