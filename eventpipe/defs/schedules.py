"""Schedules: one run a day, or as often as the project wants.

Here: when runs start by the clock. Not here: when they start because something landed (`sensors`).
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from eventpipe.defs.jobs import JOB
from eventpipe.defs.resources import run_config
from eventpipe.project.folder import Project

DAILY: Final = "refresh_daily"
HOURLY: Final = "refresh_hourly"
_EVERY_HOUR: Final = "0 * * * *"


def hourly_schedule(project: Project) -> dg.ScheduleDefinition:
    """`refresh` at every full hour, for projects whose segments automations wait for: who enters or leaves one by time
    alone is seen by a run only. Off until somebody turns it on.
    """
    return dg.ScheduleDefinition(
        name=HOURLY,
        job_name=JOB,
        cron_schedule=_EVERY_HOUR,
        execution_timezone=project.settings.timezone,
        run_config=run_config(only_settled=True),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Runs `refresh` every hour, on exports that have settled, for automations that wait for segments.",
    )


def daily_schedule(project: Project) -> dg.ScheduleDefinition:
    """`refresh` at the project's `schedule`, by default 06:00 in its timezone, also for what time alone changes.

    Off until somebody turns it on: that a project runs unattended is its owner's decision.
    """
    return dg.ScheduleDefinition(
        name=DAILY,
        job_name=JOB,
        cron_schedule=project.settings.schedule,
        execution_timezone=project.settings.timezone,
        run_config=run_config(only_settled=True),
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Runs `refresh` at the `schedule` of eventpipe.yml in the project's timezone, on exports that have settled.",
    )
