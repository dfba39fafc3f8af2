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
    new_run_id,
    open_project,
)
from eventpipe.cli.terminal import err, out, print_json, table
from eventpipe.errors import UsageError

if TYPE_CHECKING:
    from eventpipe.intake.lake import Manifest
    from eventpipe.intake.prune import Gone

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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take exports that were deleted from the exports folder out of the lake, then update every table.

    Without this what landed stays, whatever becomes of its file. Lists what would go, and asks. Nothing fires because of it.
    """
    if first is not None and last is not None and first > last:
        raise UsageError(f"There is no day from {first} to {last}: give the earlier date as --from.")
    if not (dry_run or yes or sys.stdin.isatty()):
        raise UsageError("prune shows what it would take out and asks. Without a terminal, add --yes, or --dry-run.")
    opened = open_project(project)

    from eventpipe.intake.exports import Selection
    from eventpipe.intake.prune import gone
    from eventpipe.intake.prune import prune as pruned

    found = gone(opened, Selection(first, last), source)
    if not json:
        _show(found)
    elif dry_run or not found.manifests:
        print_json({"gone": _by_source(found), "pruned": 0, "run": None})
    if dry_run or not found.manifests:
        return
    if not yes:
        err().print("Their rows leave every table. Only the files, put back, would bring them again.", soft_wrap=True)
        typer.confirm("Take them out?", abort=True, err=True)

    from eventpipe.cli.launch import launch, taken_out
    from eventpipe.cli.report import RunReport
    from eventpipe.cli.writer import say_that_we_wait, writing

    say_that_we_wait(opened)
    with writing(opened, f"{new_run_id()} (prune)") as lease:
        count = pruned(opened, found.manifests)
        request = taken_out("prune", lease.store)
    outcome = launch(opened, request, lambda _: None, debug=debug)
    report = RunReport.of(opened, request.run_id, outcome.landed)
    if json:
        print_json({"gone": _by_source(found), "pruned": count, "run": report.as_dict()})
        return
    out().print(f"Took {count:,} exports out of the lake.", soft_wrap=True)
    report.show()


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


def _show(found: Gone) -> None:
    if not found.manifests:
        out().print("Every landed export still lies in the exports folder: there is nothing to prune.", soft_wrap=True)
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
    out().print(table(("source", "exports gone", "landed on", "accepted", "rejected"), rows, right=(1, 3, 4)))
