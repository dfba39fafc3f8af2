"""`eventpipe prune`: exports that were deleted from `exports/` leave the lake and the tables too."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import (
    DayParser,
    DebugOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    SureOption,
    new_run_id,
    now,
    open_project,
)
from eventpipe.cli.terminal import err, out, print_json, table
from eventpipe.errors import UsageError
from eventpipe.wording import several

if TYPE_CHECKING:
    from rich.console import Console

    from eventpipe.cli.report import RunReport
    from eventpipe.intake.lake import Manifest
    from eventpipe.intake.prune import Gone
    from eventpipe.project.folder import Project

Row = dict[str, Any]


def prune(
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Exports of this source.")] = None,
    first: Annotated[
        date | None, typer.Option("--from", parser=DayParser, metavar="D", help="Landed on this date or later.")
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=DayParser, metavar="D", help="Landed on this date or before.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    yes: SureOption = False,
    resume: ResumeOption = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take exports that were deleted from the exports folder out of the lake, then update every table.

    Without this what landed stays, whatever becomes of its file. Lists what would go, and asks. Nothing fires because of it.
    """
    if first is not None and last is not None and first > last:
        raise UsageError(f"There is no day from {first} to {last}: give the earlier date as --from.")
    if not (dry_run or yes or resume or sys.stdin.isatty()):
        raise UsageError("prune shows what it would take out and asks. Without a terminal, add --yes, or --dry-run.")
    opened = open_project(project)

    from eventpipe.intake.exports import Selection
    from eventpipe.intake.prune import gone

    found = None if resume else gone(opened, Selection(first, last), source)
    if found is not None:
        if not (json and (yes or dry_run)):
            _show(found, err() if json else out())
        if dry_run or not found.manifests:
            if json:
                print_json({"gone": _by_source(found), "pruned": 0, "run": None})
            return
        if not yes:
            err().print("Their rows leave every table. Only the files, put back, bring them again.", soft_wrap=True)
            typer.confirm("Take them out?", abort=True, err=True)
    count, report = _pruned(opened, found, debug=debug)
    if json:
        told = [] if found is None else _by_source(found)
        print_json({"gone": told, "pruned": count, "run": None if report is None else report.as_dict()})
    elif report is None:
        out().print("There is no unfinished prune.")
    else:
        out().print(f"Took {several(count, 'export')} out of the lake.", soft_wrap=True)
        report.show()


def _pruned(project: Project, found: Gone | None, *, debug: bool) -> tuple[int, RunReport | None]:
    """Takes exports out, and finishes every prune that was begun. How many were taken out, and the run; None where there was
    nothing to do.

    It is recorded first: until the tables are without the exports no other run begins, which would take that for news.
    """
    from eventpipe.cli.launch import launch, taken_out
    from eventpipe.cli.report import RunReport
    from eventpipe.cli.writer import say_that_we_wait, writing
    from eventpipe.cluster.session import require
    from eventpipe.intake.lake import Lake
    from eventpipe.intake.prune import prune as pruned
    from eventpipe.ops import removals
    from eventpipe.serving.unpublished import refuse_unpublished

    require(project)  # afterwards nothing but the run can be wanting
    say_that_we_wait(project)
    count, holder = 0, f"{new_run_id()} (prune)"
    with writing(project, holder) as lease:
        if found is not None:
            with lease.store.read() as connection:
                removals.refuse_while_unfinished(connection)
            refuse_unpublished(project)
            with lease.begin() as connection:
                removals.begin(connection, lease, "prune", [str(each.key) for each in found.manifests], now=now())
        with lease.store.read() as connection:
            unfinished = removals.listed(connection, "prune", unfinished=True)
        wanted = {key for each in unfinished for key in each.work}
        count = pruned(project, [each for each in Lake(project.lake).manifests() if str(each.key) in wanted])
        begun = [each.removal_id for each in unfinished]
        request = taken_out("prune", lease.store)
    if not begun:
        return 0, None
    outcome = launch(project, request, lambda _: None, debug=debug)
    with writing(project, holder) as lease, lease.begin() as connection:
        removals.let_go(connection, lease, begun)
        removals.end(connection, lease, begun, now=now())
    return count, RunReport.of(project, request.run_id, outcome.landed)


def _by_source(found: Gone) -> list[Row]:
    return [
        _row(source, found.landed[source], list(manifests))
        for source, manifests in groupby(found.manifests, key=lambda each: each.source)
    ]


def _row(source: str, landed: int, manifests: Iterable[Manifest]) -> Row:
    chosen = list(manifests)
    return {
        "source": source,
        "exports": len(chosen),
        "landed": landed,
        "first_landed_on": min(each.landed_on for each in chosen),
        "last_landed_on": max(each.landed_on for each in chosen),
        "accepted": sum(each.accepted for each in chosen),
        "rejected": sum(each.rejected for each in chosen),
    }


def _show(found: Gone, console: Console) -> None:
    if not found.manifests:
        console.print(
            "Every export that was asked for is still in its folder: there is nothing to prune.", soft_wrap=True
        )
        return
    rows = [
        (
            row["source"],
            f"{row['exports']:,} of {row['landed']:,}",
            f"{row['first_landed_on']} to {row['last_landed_on']}",
            f"{row['accepted']:,}",
            f"{row['rejected']:,}",
        )
        for row in _by_source(found)
    ]
    console.print(table(("source", "exports gone", "landed on", "accepted", "rejected"), rows, right=(1, 3, 4)))
