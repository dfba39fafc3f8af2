"""`eventpipe backfill`: lands dates again, then updates every table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from eventpipe.cli.options import (
    DayParser,
    DebugOption,
    FireOption,
    JsonOption,
    ProjectOption,
    YesOption,
    firing,
    new_run_id,
    now,
    open_project,
)
from eventpipe.cli.terminal import err, print_json
from eventpipe.cli.writer import say_that_we_wait, writing
from eventpipe.errors import UsageError

if TYPE_CHECKING:
    from eventpipe.erasure.tombstones import Tombstones
    from eventpipe.intake.land import Landed
    from eventpipe.ops.backfills import Backfill, Backfills
    from eventpipe.ops.quiet import Quieten
    from eventpipe.project.folder import Project

CHUNK_DAYS = 7
"""Landing dates between two points that an interrupted backfill goes on from."""


def backfill(
    first: Annotated[date, typer.Option("--from", parser=DayParser, metavar="D", help="The first landing date.")],
    last: Annotated[date, typer.Option("--to", parser=DayParser, metavar="D", help="The last landing date.")],
    restart: Annotated[
        bool, typer.Option("--restart", help="Land all days again, those of an interrupted backfill too.")
    ] = False,
    fire: FireOption = False,
    yes: YesOption = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Land dates again from the exports, judged by today's definitions, then update every table.

    An interrupted backfill of the same dates goes on where it stopped, unless definitions or settings changed since.
    """
    if first > last:
        raise UsageError(f"A backfill from {first} to {last} has no day: give the earlier date as --from.")
    confirm = firing(fire, yes)
    opened = open_project(project)
    say_that_we_wait(opened)

    from eventpipe.cli.launch import launch
    from eventpipe.cli.report import RunReport
    from eventpipe.intake.exports import Selection
    from eventpipe.ops import erasures
    from eventpipe.ops.backfills import Backfills
    from eventpipe.ops.quiet import marker
    from eventpipe.refresh import RunRequest

    request = RunRequest(new_run_id(), kind="backfill", selection=Selection(first, last), fire=fire)
    with writing(opened, f"{request.run_id} (landing)") as lease:
        backfills = Backfills(lease)
        current = backfills.open_or_resume(first, last, now=now(), restart=restart)
        if current.done and _is_outdated(opened, current.done):
            err().print(
                f"Days of the backfill of {current.started_at:%Y-%m-%d %H:%M:%S %Z}, which was cut short, were judged by other "
                "definitions or settings than today's: it begins anew.",
                soft_wrap=True,
            )
            current = backfills.open_or_resume(first, last, now=now(), restart=True)
        skipped = current.done
        if skipped:
            _say_skipped(current)
        tombstones = erasures.tombstones_in(lease.store)
        landed = list(_land_again(opened, backfills, current, tombstones, marker(lease, now)))
    if not landed and not skipped:
        err().print(f"No export lies in {opened.exports} for {first} to {last}.", soft_wrap=True)
    outcome = launch(opened, request, lambda _: None, confirm, debug=debug)
    with writing(opened, f"{request.run_id} (end)") as lease:
        Backfills(lease).finish(current.backfill_id, now=now())
    # What the update looked at once more is told by the days that it found landed.
    seen = {each.key for each in landed}
    report = RunReport.of(opened, request.run_id, [*landed, *(each for each in outcome.landed if each.key not in seen)])
    if json:
        days = {
            "days": len(current.days),
            "skipped": list(skipped),
            "landed_again": len(current.days) - len(skipped),
        }
        print_json({"backfill": {"from": first, "to": last, **days}, **report.as_dict()})
    else:
        report.show()


def _is_outdated(project: Project, days: Collection[date]) -> bool:
    """Whether exports of these days stand as others than today's definitions and settings judged them."""
    from eventpipe.intake.lake import Lake
    from eventpipe.intake.rules import judged_otherwise

    of_days = (each for each in Lake(project.lake).manifests() if each.landed_on in days)
    return any(judged_otherwise(project, of_days))


def chunks(days: Sequence[date], size: int = CHUNK_DAYS) -> Iterator[tuple[date, ...]]:
    """`days` in order, cut into stretches of at most `size` days that follow each other without a gap."""
    stretch: list[date] = []
    for day in days:
        if stretch and (len(stretch) == size or day - stretch[-1] != timedelta(days=1)):
            yield tuple(stretch)
            stretch = []
        stretch.append(day)
    if stretch:
        yield tuple(stretch)


def _land_again(
    project: Project, backfills: Backfills, current: Backfill, tombstones: Tombstones, quieten: Quieten
) -> Iterator[Landed]:
    from eventpipe.cli.progress import LandingProgress, count_exports
    from eventpipe.intake.exports import Selection
    from eventpipe.intake.land import land_exports

    stretches = list(chunks(current.remaining))
    total = sum(count_exports(project, Selection(days[0], days[-1])) for days in stretches)
    with LandingProgress(total) as progress:
        for days in stretches:
            chosen = Selection(days[0], days[-1])
            yield from land_exports(
                project, chosen, now(), tombstones=tombstones, again=True, quieten=quieten, on_landed=progress.landed
            )
            backfills.mark_done(current.backfill_id, *days)


def _say_skipped(current: Backfill) -> None:
    err().print(
        f"Going on with the backfill of {current.started_at:%Y-%m-%d %H:%M:%S %Z}: {len(current.done)} of "
        f"its {len(current.days)} days were landed again already ({current.done[0]} to {current.done[-1]}) "
        "and are skipped. To land them once more, start with --restart.",
        soft_wrap=True,
    )
