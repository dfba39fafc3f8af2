"""`eventpipe init`: a project folder to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventpipe.cli.options import DebugOption, JsonOption
from eventpipe.cli.terminal import inert, out, print_json


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty or does not exist.")],
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Make a project folder: commented settings, four sources, a first tracking plan."""
    from eventpipe.project.starter import create_project

    made = [path.relative_to(directory).as_posix() for path in create_project(directory)]
    if json:
        print_json({"project": str(directory.resolve()), "created": made})
        return
    console = out()
    console.print(f"{inert(str(directory))} is a project now:", soft_wrap=True)
    for path in made:
        console.print(f"  {path}", soft_wrap=True)
    console.print(
        f"Next: eventpipe sample --events 1000 --seed 1 --out {inert(str(directory / 'exports'))}"
        f", then: eventpipe run --project {inert(str(directory))}",
        soft_wrap=True,
    )
