"""Schedules: one run a day.

Here: when runs start by the clock. Not here: when they start because something landed (`sensors`).
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from eventpipe.defs.jobs import JOB
from eventpipe.defs.resources import REFRESH
from eventpipe.project.folder import Project

DAILY: Final = "refresh_daily"
_SIX: Final = "0 6 * * *"


def daily_schedule(project: Project) -> dg.ScheduleDefinition:
    """`refresh` at 06:00 in the project's timezone, for what time alone changes too: windows that turn, events that
    `as_of` passes. Stopped until somebody turns it on: a project decides by itself that it runs unattended."""
    return dg.ScheduleDefinition(
        name=DAILY,
        job_name=JOB,
        cron_schedule=_SIX,
        execution_timezone=project.settings.timezone,
        run_config={"resources": {REFRESH: {"config": {"only_settled": True}}}},
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Runs `refresh` every day at 06:00 in the project's timezone.",
    )
