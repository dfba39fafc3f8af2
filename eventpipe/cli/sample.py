"""`eventpipe sample`: exports to try things with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import DayParser, DebugOption, JsonOption, ProjectOption, open_project
from eventpipe.cli.terminal import inert, out, print_json, table

if TYPE_CHECKING:
    from eventpipe.sample.request import SampleSummary


def sample(
    events: Annotated[int, typer.Option(min=1, help="Records in total, over all sources.")] = 1000,
    seed: Annotated[int, typer.Option(help="Equal seeds write equal files.")] = 1,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The folder for the files. Default: the project's exports."),
    ] = None,
    sources: Annotated[
        str | None, typer.Option(help="Some of redo, notifuse, customerio, arsel, with commas. Default: all.")
    ] = None,
    start: Annotated[
        date | None,
        typer.Option(parser=DayParser, metavar="D", help="The first landing date. Default: 2026-01-01."),
    ] = None,
    days: Annotated[int | None, typer.Option(help="How many landing dates. Default: 30.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Write realistic exports of four vendors, with duplicates, late events, refunds and bad lines."""
    from eventpipe.sample.generate import generate
    from eventpipe.sample.request import SampleRequest

    given: dict[str, Any] = {
        "sources": tuple(name.strip() for name in sources.split(",") if name.strip()) if sources is not None else None,
        "start": start,
        "days": days,
    }
    folder = out_folder if out_folder is not None else open_project(project).exports
    summary = generate(
        SampleRequest(events, seed, folder, **{name: value for name, value in given.items() if value is not None})
    )
    if json:
        print_json({"out": str(folder.resolve()), **summary.as_dict()})
    else:
        _show(folder, summary)


def _show(folder: Path, summary: SampleSummary) -> None:
    console = out()
    columns = (
        "source",
        "files",
        "lines",
        "accepted",
        "rejected",
        "blank",
        "duplicates",
        "late",
        "orders",
        "net value",
    )
    rows = [
        (
            name,
            *(f"{count:,}" for count in (each.files, each.lines, each.expected_accepted, each.rejected_lines)),
            *(f"{count:,}" for count in (each.blank, each.duplicates, each.late, each.orders)),
            _net(each.gross, each.refunds),
        )
        for name, each in summary.sources.items()
    ]
    console.print(
        f"{summary.files:,} files in {inert(str(folder))}, and what a run should make of them:",
        soft_wrap=True,
    )
    console.print(table(columns, rows, right=range(1, 9)))
    console.print(
        f"Together: {summary.contacts:,} contacts, {summary.known_contacts:,} of them known; "
        f"{summary.orders:,} orders, {summary.orders_reported_twice:,} of them reported by more than one "
        "source.",
        soft_wrap=True,
    )


def _net(gross: Mapping[str, Any], refunds: Mapping[str, Any]) -> str:
    return ", ".join(f"{gross[currency] + refunds.get(currency, 0):,} {currency}" for currency in sorted(gross))
