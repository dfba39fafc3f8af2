"""`eventpipe hold`: events that the audit holds back, so that what they trigger waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, now, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.ops.place import is_made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventpipe.ops.holds import Hold

app = typer.Typer(help="Events that the audit holds back: their triggers wait.", no_args_is_help=False)


@app.callback()
def hold() -> None:
    """Events that the audit holds back: their triggers wait."""


@app.command()
def ls(
    everything: Annotated[bool, typer.Option("--all", help="Those that were released too.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """List what is held back, and why."""
    opened = open_project(project)

    from eventpipe.ops.holds import list_holds
    from eventpipe.ops.store import OpsStore

    found: list[Hold] = []
    if is_made(opened.ops):  # looking makes nothing
        with OpsStore.open(opened.ops) as store:
            found = list_holds(store, released=everything)
    if json:
        print_json([asdict(each) for each in found])
    elif found:
        _show(found)
    else:
        out().print("Nothing is held back.")


@app.command()
def release(
    name: Annotated[str, typer.Argument(metavar="ID|EVENT", help="A hold's id, or an event's name.")],
    source: Annotated[str | None, typer.Option("--source", help="Only the event of this source.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why, for those who look later.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Let go what is held back. The days that it was held for are not held again."""
    opened = open_project(project)

    from eventpipe.cli.options import new_run_id
    from eventpipe.cli.writer import say_that_we_wait, writing
    from eventpipe.ops import holds

    say_that_we_wait(opened)
    with writing(opened, f"{new_run_id()} (hold release)") as lease, lease.begin() as connection:
        released = holds.release(connection, lease, name, source=source, note=note, now=now())
    if json:
        print_json([asdict(each) for each in released])
        return
    for each in released:
        out().print(inert(f"Released {each.event_name} of {each.source}."), soft_wrap=True)


def _show(found: Sequence[Hold]) -> None:
    rows = [
        (
            each.hold_id,
            each.source,
            each.event_name,
            each.first_day.isoformat(),
            each.last_day.isoformat(),
            "open" if each.released_at is None else f"released {each.released_at:%Y-%m-%d}",
            " ".join(filter(None, (each.reason, each.note))),
        )
        for each in found
    ]
    out().print(table(("hold", "source", "event", "first day", "last day", "state", "reason"), rows))
