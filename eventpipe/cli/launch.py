"""The one place where the command line starts the Dagster job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from eventpipe.cli.options import now

if TYPE_CHECKING:
    from eventpipe.defs.launch import RefreshOutcome
    from eventpipe.intake.land import Landed
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
    """Runs the job `refresh` in this process (spec 1, section 7); `debug` shows Dagster's log. `confirm` is asked
    before the past of automations fires.

    Raises what a stage raises.
    """
    from eventpipe.defs.launch import run_refresh  # late: Dagster takes more than a second to import

    return run_refresh(project, request, now, on_landed=on_landed, confirm=confirm, debug=debug)
