"""Alerts: a message to a webhook when a run has failed, whoever started it and however it ended.

Here: what the message says and how it is sent. Not here: what went wrong in detail, which the ops store records; the
message repeats its paragraph, which holds no personal data.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

import dagster as dg

from eventpipe.ops import runs
from eventpipe.ops.place import is_made
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project

FAILED_RUNS: Final = "failed_runs"
_TRIES: Final = 3
_PATIENCE: Final = 10.0
"""Seconds that the receiver has to answer."""

Send = Callable[[str, str], None]
"""Sends a text to an address."""


def failure_alert(project: Project, address: str, send: Send | None = None) -> dg.SensorDefinition:
    """Tells of every run that failed. On from the start: whoever names an address wants to be told."""
    deliver = send or post

    @dg.run_failure_sensor(
        name=FAILED_RUNS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Posts a message to the webhook of eventpipe.yml (alerts.webhook) when a run has failed.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        deliver(address, message(project, context.dagster_run.run_id, context.dagster_run.job_name))

    return failed_runs


def message(project: Project, run_id: str, job: str) -> str:
    """What is told of a failed run, in one paragraph."""
    why = _recorded_error(project, run_id)
    told = why or "It left no word: its process was killed, or it never started. See it in Dagster."
    return (
        f"eventpipe: run {run_id} of {job} on {project.root.name} failed. {told} "
        "The tables that people read are those of the last good run."
    )


def post(address: str, text: str) -> None:
    """Posts `{"text": ...}`, as chat programs take it. Errors: `OSError` when no try was answered."""
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method="POST")
    for left in range(_TRIES - 1, -1, -1):
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE):
                return
        except (urllib.error.URLError, OSError):
            if left == 0:
                raise
            time.sleep(1)


def _recorded_error(project: Project, run_id: str) -> str | None:
    if not is_made(project.ops):
        return None
    with OpsStore.open(project.ops) as store:
        found = next((run for run in runs.recent(store, 50) if run.run_id == run_id), None)
    return None if found is None else found.error
