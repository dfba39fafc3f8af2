"""Running the job `refresh` in this process, for the command line.

Here: one run from a request to its outcome, quiet on the terminal, recorded for the UI. Not here: what the command
line prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from eventpipe.definitions import build_defs
from eventpipe.defs.home import open_instance
from eventpipe.defs.jobs import JOB
from eventpipe.defs.resources import config_of, refresh_resource, run_config
from eventpipe.defs.session import RunSession, always, ignore
from eventpipe.errors import StageFailed
from eventpipe.intake.land import Landed
from eventpipe.ops.runs import Counts, Stage
from eventpipe.project.folder import Project
from eventpipe.refresh import RunRequest
from eventpipe.serving.publish import Published
from eventpipe.warehouse.dbt import Dbt
from eventpipe.warehouse.plan import Plan


@dataclass(frozen=True)
class RefreshOutcome:
    """What a run did that published."""

    published: Published
    stages: tuple[Stage, ...]
    counts: Counts
    plan: Plan
    landed: list[Landed]


def run_refresh(
    project: Project,
    request: RunRequest,
    clock: Callable[[], datetime],
    on_landed: Callable[[Landed], None] = ignore,
    confirm: Callable[[int], bool] = always,
    *,
    debug: bool = False,
) -> RefreshOutcome:
    """Runs the job `refresh` as Dagster's UI does, but in this process, under the request's run id.

    `on_landed` gets each export when it is done. Dagster's log goes to the terminal with `debug` only. Errors: what a
    stage raised, as it raised it; KeyboardInterrupt where the run was interrupted.
    """
    sessions: list[RunSession] = []
    dbt = Dbt(project)
    resource = refresh_resource(
        project, clock, dbt=dbt, on_landed=on_landed, confirm=confirm, on_opened=sessions.append
    )
    job = build_defs(project, dbt=dbt, refresh=resource).resolve_job_def(JOB)
    console = {"console": {"config": {"log_level": "DEBUG" if debug else "CRITICAL"}}}
    with open_instance(project) as instance:
        result = job.execute_in_process(
            run_config={**run_config(**config_of(request)), "loggers": console},
            instance=instance,
            run_id=request.run_id,
            raise_on_error=False,
        )
    session = sessions[0] if sessions else None
    if session is not None and session.error is not None:
        raise session.error
    if session is None or not result.success:
        raise StageFailed(
            f"Dagster ended the run, though no stage failed: {_why(result)} The published tables are untouched."
        )
    return RefreshOutcome(session.publish(), session.stages, session.counts, session.resolve(), session.land())


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The first failure in Dagster's log, in one line."""
    for each in result.all_events:
        if each.is_failure:
            error = getattr(each.event_specific_data, "error", None)
            return " ".join((error.message if error else each.message or "").split())[:500]
    return "it does not say why."
