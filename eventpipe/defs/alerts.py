"""Alerts: a message to a webhook when a run of the daemon has failed or was held, however it ended. Who started a command
has its exit code.

Here: what the message says and how it is sent. Not here: what went wrong in detail, which the ops store records; the
message repeats its paragraph, which holds no personal data.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import dagster as dg

from eventpipe.delivery.message import headers
from eventpipe.errors import EventpipeError
from eventpipe.ops import runs
from eventpipe.ops.place import is_made
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project

FAILED_RUNS: Final = "failed_runs"
_TRIES: Final = 3
_LONGEST: Final = 1_000
"""Characters of what is wrong with the project's files."""
_PATIENCE: Final = 10.0
"""Seconds that the receiver has to answer. All tries together end within the minute that a sensor has."""


def failure_alert(
    project: Project,
    read: Callable[[], Project],
    clock: Callable[[], datetime],
    sleep: Callable[[float], None] = time.sleep,
) -> dg.SensorDefinition:
    """Tells of every run that failed or was held. On from the start: whoever names an address wants to be told. `project` as
    it was when this began is what is gone by while its files are refused, for then runs fail.

    It looks on from outside, so a receiver that is down makes its tick fail and nothing else.
    """

    @dg.run_failure_sensor(
        name=FAILED_RUNS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Posts a message to the webhook of eventpipe.yml (alerts.webhook) when a run has failed or was held.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        try:
            current, refusal = read(), None
        except EventpipeError as error:
            current, refusal = project, str(error).replace("\n", "; ")[:_LONGEST]
        if not current.settings.alerts.webhook:
            current = project
        _post(current, run.run_id, message(current, run.run_id, run.job_name, refusal), clock, sleep)

    return failed_runs


def message(project: Project, run_id: str, job: str, refusal: str | None = None) -> str:
    """What is told of a run that failed, in one paragraph. `refusal`: what is wrong with the project's files now."""
    run = _recorded(project, run_id)
    how = "was held back by its audit" if run is not None and run.status == "held" else "failed"
    unsaid = "It left no word: its process was killed, or it never started. See it in Dagster."
    why = (run and run.error) or refusal or unsaid
    return (
        f"eventpipe: run {run_id} of {job} on {project.root.name} {how}. {why} "
        "The tables that people read are those of the last good run."
    )


def _post(
    project: Project, run_id: str, text: str, clock: Callable[[], datetime], sleep: Callable[[float], None]
) -> None:
    """Posts `{"text": ...}`, as chat programs take it, signed under the run's id where there is a secret.

    Errors: `OSError` when no try was answered well; a redirection is no answer.
    """
    alerts = project.settings.alerts
    assert alerts.webhook is not None
    body = json.dumps({"text": text})
    secrets = () if alerts.secret is None else (alerts.secret,)
    opener = urllib.request.build_opener(_NoRedirections)
    for left in range(_TRIES - 1, -1, -1):
        request = urllib.request.Request(
            alerts.webhook, body.encode(), headers(run_id, body, secrets, clock()), method="POST"
        )
        try:
            with opener.open(request, timeout=_PATIENCE):
                return
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if left == 0:
                raise
            sleep(1)


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its message."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirection is an error."""


def _recorded(project: Project, run_id: str) -> runs.Run | None:
    if not is_made(project.ops):
        return None
    with OpsStore.open(project.ops) as store:
        return runs.find(store, run_id)
