"""The daily run."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from eventpipe.definitions import build_defs
from eventpipe.defs.jobs import JOB
from eventpipe.defs.schedules import DAILY
from eventpipe_tests.builders import project


@pytest.mark.usefixtures("parsed")
def test_it_runs_at_six_where_the_project_is_on_settled_exports(tmp_path: Path) -> None:
    made = build_defs(project(tmp_path, timezone="America/New_York"))
    schedule = made.resolve_schedule_def(DAILY)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "America/New_York")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    with dg.build_schedule_context() as context:
        [request] = schedule.evaluate_tick(context).run_requests or []
    validated = dg.validate_run_config(made.resolve_job_def(JOB), request.run_config)
    assert validated["resources"]["refresh"]["config"]["only_settled"] is True
    assert request.partition_key is None
