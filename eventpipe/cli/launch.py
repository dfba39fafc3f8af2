"""The one place where the command line starts the Dagster job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from eventpipe.cli.options import new_run_id, now

if TYPE_CHECKING:
    from eventpipe.defs.launch import RefreshOutcome
    from eventpipe.intake.land import Landed
    from eventpipe.ops.runs import RunKind
    from eventpipe.ops.store import OpsStore
    from eventpipe.project.folder import Project
    from eventpipe.refresh import RunRequest


def launch(
    project: Project,
    request: RunRequest,
    on_landed: Callable[[Landed], None],
    confirm: Callable[[int], bool] = lambda _: True,
    *,
    debug: bool = False,
) -> RefreshOutcome:
    """Runs the job `refresh` in this process; `debug` shows Dagster's log. `confirm` is asked
    before the past of automations fires.

    Raises what a stage raises.
    """
    from eventpipe.defs.launch import run_refresh  # late: Dagster takes more than a second to import

    return run_refresh(project, request, now, on_landed=on_landed, confirm=confirm, debug=debug)


def taken_out(kind: RunKind, store: OpsStore) -> RunRequest:
    """The run after something was taken out of the lake. It lands nothing, and stays at the instant of the last published run:
    what it finds is due to what was taken out, so it fires nothing, and what time brings is left to the next run."""
    from eventpipe.intake.exports import NO_DATES
    from eventpipe.ops import runs
    from eventpipe.refresh import RunRequest

    last = runs.last(store, status="published")
    return RunRequest(new_run_id(), kind=kind, as_of=None if last is None else last.as_of, selection=NO_DATES)
