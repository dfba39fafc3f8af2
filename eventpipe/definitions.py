"""What Dagster loads: everything in `eventpipe.defs`, on one project.

    dagster definitions validate -m eventpipe.definitions
    dagster asset materialize -m eventpipe.definitions --select lake --partition-range 2026-01-01...2026-01-31

The project is the one that EVENTPIPE_PROJECT names, else the current folder.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from eventpipe.audit.audit import announced
from eventpipe.defs.alerts import failure_alert
from eventpipe.defs.assets import build_assets
from eventpipe.defs.checks import build_checks
from eventpipe.defs.deliveries import deliveries_asset
from eventpipe.defs.jobs import deliver_job, refresh_job
from eventpipe.defs.models import read_models
from eventpipe.defs.partitions import landing_dates
from eventpipe.defs.resources import REFRESH, refresh_resource
from eventpipe.defs.schedules import daily_schedule, hourly_schedule
from eventpipe.defs.sensors import due_candidates_sensor, new_exports_sensor, undelivered_triggers_sensor
from eventpipe.project.folder import Project, load_project
from eventpipe.warehouse.dbt import Dbt


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions on the project that the environment names. Errors: `ConfigurationError`, `UsageError`."""
    project = load_project(None, os.environ)
    for sentence in project.unread:
        dg.get_dagster_logger().warning(sentence)
    return build_defs(project, read=partial(load_project, project.root, os.environ))


def build_defs(
    project: Project,
    *,
    read: Callable[[], Project] | None = None,
    dbt: Dbt | None = None,
    **overrides: dg.ResourceDefinition,
) -> dg.Definitions:
    """The definitions on `project`; sensors `read` it anew. `overrides` are resources by their key.

    Reading dbt's manifest is all the work there is, but for the first time, when dbt has to parse its project.
    """
    read = read or (lambda: project)
    dbt = dbt or Dbt(project)
    models = read_models(dbt.manifest())
    with warnings.catch_warnings():
        # Backfill policies, beta since years, are what makes a range of partitions one run.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.Definitions(
            assets=[*build_assets(models, landing_dates(project, _now())), deliveries_asset(project, _now)],
            asset_checks=build_checks(models.tests, announced(project)),
            jobs=[refresh_job(), deliver_job()],
            schedules=[daily_schedule(project), hourly_schedule(project)],
            sensors=[
                new_exports_sensor(read, _now),
                due_candidates_sensor(read, _now),
                undelivered_triggers_sensor(read, _now),
                *([failure_alert(project, read, _now)] if project.settings.alerts.webhook else []),
            ],
            resources={REFRESH: refresh_resource(project, _now, dbt=dbt), **overrides},
            # The steps share a run of the pipeline and an instance of the engine, which live in one process. Every
            # other process would cost seconds of imports besides.
            executor=dg.in_process_executor,
        )


def _now() -> datetime:
    return datetime.now(UTC)
