"""`eventpipe doctor`: are the promises kept?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, new_run_id, now, open_project
from eventpipe.cli.terminal import err, inert, out, print_json
from eventpipe.cli.writer import say_that_we_wait

if TYPE_CHECKING:
    from eventpipe.doctor.findings import Promise, State

_MARKS: dict[State, tuple[str, str]] = {
    "kept": ("ok", "green"),
    "broken": ("BROKEN", "red"),
    "unchecked": ("not checked", "yellow"),
}


def doctor(project: ProjectOption = None, json: JsonOption = False, _debug: DebugOption = False) -> None:
    """Check the promises on this project: accounted, same answer, whole or not at all. Nothing is changed.

    Ends with 1 when a promise is broken. The tables are rebuilt from the lake beside the real ones, so it
    takes as long as a full run without landing.
    """
    opened = open_project(project)
    say_that_we_wait(opened)

    from eventpipe.doctor.examination import examine

    err().print("Rebuilding the tables from the lake, to compare them with the published ones.", soft_wrap=True)
    promises = examine(opened, now, run_id=f"doctor {new_run_id()}")
    if json:
        print_json(
            {
                "ok": all(each.state != "broken" for each in promises),
                "promises": [each.as_dict() for each in promises],
            }
        )
    else:
        _show(promises)
    if any(each.state == "broken" for each in promises):
        raise typer.Exit(1)


def _show(promises: list[Promise]) -> None:
    console = out()
    for promise in promises:
        mark, style = _MARKS[promise.state]
        console.print(f"{promise.number}. {promise.name}: {mark}", style=f"bold {style}")
        for check in promise.checks:
            mark, style = _MARKS[check.state]
            numbers = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in check.numbers.items())
            console.print(inert(f"   {mark}: {check.name} ({numbers})"), style=style, soft_wrap=True)
            if check.detail:
                console.print(inert(f"      {check.detail}"), soft_wrap=True)
