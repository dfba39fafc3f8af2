"""The options that commands share, and what they are turned into."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4
from zoneinfo import ZoneInfo

import typer

from eventpipe.cli.terminal import err, inert
from eventpipe.errors import UsageError
from eventpipe.wording import several

if TYPE_CHECKING:
    from eventpipe.project.folder import Project


def _folder(context: typer.Context, named: str | None) -> str | None:
    return named if named is not None else context.find_root().obj


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write it as 2026-01-31") from None


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant: write it as 2026-01-31 or 2026-01-31T18:00:00Z") from None


ContactArgument = Annotated[str, typer.Argument(metavar="CONTACT", help="An identifier of any type, or a contact_id.")]

TypeOption = Annotated[str | None, typer.Option("--type", help="Which type it is: email, phone, ...; contact_id.")]

ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="DIR",
        callback=_folder,
        help="The project folder. Default: EVENTPIPE_PROJECT, else the current folder.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DayParser = _day
InstantParser = _instant


FireOption = Annotated[
    bool,
    typer.Option(
        "--fire",
        help="Let what lies in the past of automations fire too, as far back as each one's max_lateness. Shows how many and asks.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="With --fire: do not ask.")]


SureOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Finish what was begun and did not end.")]


def firing(fire: bool, yes: bool) -> Callable[[int], bool]:
    """Who is asked before the past fires. Raises UsageError where nobody could answer."""
    if fire and not yes and not sys.stdin.isatty():
        raise UsageError("--fire shows how many triggers it would fire and asks. Without a terminal, add --yes.")

    def confirm(triggers: int) -> bool:
        many = several(triggers, "trigger")
        err().print(f"This run fires {many}, the past of automations included.", soft_wrap=True)
        return yes or not triggers or typer.confirm("Fire them? With no, only what is new fires.", err=True)

    return confirm


def open_project(folder: str | None) -> Project:
    """The project that `--project`, the environment or the current folder names. Raises as `load_project`
    does. Says which variables of the environment look like settings and are none.
    """
    from eventpipe.project.folder import load_project  # late: `--help` reads no project

    project = load_project(None if folder is None else Path(folder), os.environ)
    for sentence in project.unread:
        err().print(inert(f"Warning: {sentence}"), soft_wrap=True, style="yellow")
    return project


def now() -> datetime:
    """The clock, which only the command line reads."""
    return datetime.now(UTC)


def new_run_id() -> str:
    """An id that no run has, written as Dagster writes its own."""
    return str(uuid4())


def aware(instant: datetime | None, project: Project) -> datetime | None:
    """An instant written without an offset is in the project's timezone."""
    if instant is None or instant.tzinfo is not None:
        return instant
    return instant.replace(tzinfo=ZoneInfo(project.settings.timezone))
