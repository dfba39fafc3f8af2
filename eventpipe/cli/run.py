"""`eventpipe run`: lands what is new, updates and publishes every table."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from eventpipe.cli.options import (
    DayParser,
    DebugOption,
    FireOption,
    InstantParser,
    JsonOption,
    ProjectOption,
    YesOption,
    aware,
    firing,
    new_run_id,
    open_project,
)
from eventpipe.cli.terminal import print_json
from eventpipe.cli.writer import say_that_we_wait
from eventpipe.errors import UsageError


def run(
    as_of: Annotated[
        datetime | None,
        typer.Option(
            parser=InstantParser,
            metavar="T",
            help=(
                "The instant to compute for: events after it count nowhere. A date is its first instant. Default: now."
            ),
        ),
    ] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Rebuild every table from the lake.")] = False,
    first: Annotated[
        date | None,
        typer.Option("--from", parser=DayParser, metavar="D", help="The first landing date to look at."),
    ] = None,
    last: Annotated[
        date | None,
        typer.Option("--to", parser=DayParser, metavar="D", help="The last landing date to look at."),
    ] = None,
    fire: FireOption = False,
    yes: YesOption = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Land what is new, update and publish every table: the Dagster job `refresh`, in this process."""
    if first is not None and last is not None and first > last:
        raise UsageError(f"There is no day from {first} to {last}: give the earlier date as --from.")
    confirm = firing(fire, yes)
    opened = open_project(project)
    say_that_we_wait(opened)

    from eventpipe.cli.launch import launch
    from eventpipe.cli.progress import LandingProgress, count_exports
    from eventpipe.cli.report import RunReport
    from eventpipe.intake.exports import Selection
    from eventpipe.refresh import RunRequest

    selection = Selection(first, last)
    request = RunRequest(
        new_run_id(), as_of=aware(as_of, opened), full_refresh=full_refresh, selection=selection, fire=fire
    )
    with LandingProgress(count_exports(opened, selection)) as progress:
        outcome = launch(opened, request, progress.landed, progress.aside(confirm), debug=debug)
    report = RunReport.of(opened, request.run_id, outcome.landed)
    if json:
        print_json(report.as_dict())
    else:
        report.show()
