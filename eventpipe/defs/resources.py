"""Resources: the run of the pipeline that the steps of one Dagster run share.

Here: how a Dagster run becomes a `RunSession` (by its id, configuration and partitions), and how the session's
faults become Dagster's. Not here: what a stage does.

All steps of a run execute in one process, where a resource lives as long as the run: so the lease is taken once, with
the first stage, and given back after the last. A resource made anew for each step could not do that.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

import dagster as dg

from eventpipe.defs.partitions import selected
from eventpipe.defs.session import RunSession, always, ignore
from eventpipe.errors import EventpipeError, UsageError
from eventpipe.intake.exports import Selection
from eventpipe.intake.land import Landed
from eventpipe.ops.runs import RunKind
from eventpipe.project.folder import Project
from eventpipe.refresh import RunRequest
from eventpipe.warehouse.dbt import Dbt

REFRESH: Final = "refresh"
"""The resource's key."""

_SCHEMA: Final = {
    "as_of": dg.Field(
        dg.Noneable(str),
        default_value=None,
        description="The instant to compute for, like 2026-01-31T00:00:00+00:00: events after it count nowhere. "
        "Default: the time of the run.",
    ),
    "full_refresh": dg.Field(bool, default_value=False, description="Rebuild every table from the lake."),
    "first": dg.Field(
        dg.Noneable(str),
        default_value=None,
        description="The first landing date to look at. Default: that of the run's partitions, else all dates.",
    ),
    "last": dg.Field(dg.Noneable(str), default_value=None, description="The last landing date to look at."),
    "only_settled": dg.Field(
        bool,
        default_value=False,
        description="Leave exports to a later run that were written to less than `settle` ago and have no .done.",
    ),
    "again": dg.Field(
        bool, default_value=False, description="Judge what is in the lake already anew, by today's definitions."
    ),
    "fire": dg.Field(
        bool,
        default_value=False,
        description="Let the past of automations fire too, and what a backfill takes in. Nobody is asked about the number.",
    ),
    "kind": dg.Field(
        dg.Enum("RunKind", [dg.EnumValue(kind) for kind in get_args(RunKind)]),
        default_value="run",
        description="How the run is recorded.",
    ),
}


def run_config(**config: Any) -> dict[str, Any]:
    """A Dagster run's configuration with these keys of the resource."""
    return {"resources": {REFRESH: {"config": config}}}


def config_of(request: RunRequest) -> dict[str, Any]:
    """The resource's configuration that asks for this; `request_of` reads it back."""
    first, last = request.selection.first, request.selection.last
    return {
        "as_of": request.as_of.isoformat() if request.as_of else None,
        "full_refresh": request.full_refresh,
        "first": first.isoformat() if first else None,
        "last": last.isoformat() if last else None,
        "only_settled": request.only_settled,
        "again": request.again,
        "fire": request.fire,
        "kind": request.kind,
    }


def request_of(run_id: str, tags: Mapping[str, str], config: Mapping[str, Any], timezone: str) -> RunRequest:
    """What a Dagster run with these tags and this configuration asks for.

    An `as_of` without an offset is in `timezone`. Errors: `UsageError` where a date or an instant is none.
    """
    try:
        as_of = datetime.fromisoformat(config["as_of"]) if config["as_of"] else None
        first, last = (date.fromisoformat(config[key]) if config[key] else None for key in ("first", "last"))
    except ValueError as error:
        raise UsageError(f"The run's configuration of the resource {REFRESH} is wrong: {error}.") from error
    if as_of is not None and as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=ZoneInfo(timezone))
    return RunRequest(
        run_id,
        kind=config["kind"],
        as_of=as_of,
        full_refresh=config["full_refresh"],
        selection=Selection(first, last) if first or last else selected(tags),
        only_settled=config["only_settled"],
        again=config["again"],
        fire=config["fire"],
    )


def refresh_resource(
    project: Project,
    clock: Callable[[], datetime],
    *,
    dbt: Dbt | None = None,
    on_landed: Callable[[Landed], None] = ignore,
    confirm: Callable[[int], bool] = always,
    on_opened: Callable[[RunSession], None] | None = None,
) -> dg.ResourceDefinition:
    """The resource `refresh`: a `RunSession` on `project`, which ends with the Dagster run.

    `on_opened` gets the session of each run that starts.
    """

    def opened(context: dg.InitResourceContext) -> Iterator[RunSession]:
        run = context.run
        if run is None:
            raise UsageError(f"The resource {REFRESH} needs a Dagster run: there is none.")
        request = request_of(run.run_id, run.tags, context.resource_config, project.settings.timezone)
        session = RunSession(project, request, clock, on_landed, dbt, confirm)
        if on_opened is not None:
            on_opened(session)
        try:
            yield session
        finally:
            session.close()

    return dg.ResourceDefinition(
        opened,
        config_schema=_SCHEMA,
        description="The run of the pipeline that its steps share: one lease, one row of the table `runs`.",
    )


@contextmanager
def shared_run(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Iterator[RunSession]:
    """The session of the Dagster run that `context` belongs to.

    What goes wrong in the block fails the step with a paragraph and nothing else: causes can quote values, and
    Dagster keeps what it logs. The session keeps the error itself for whoever started the run.
    """
    session: RunSession = context.resources.refresh
    try:
        with session.watched():
            yield session
    except dg.DagsterExecutionInterruptedError:
        session.error = KeyboardInterrupt("The run was interrupted.")
        raise
    except EventpipeError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        raise dg.Failure(
            f"eventpipe itself failed: {type(error).__name__}. The published tables are as they were.\n{where}",
            allow_retries=False,
        ) from None
