"""`eventpipe ui`: the Dagster UI on this project."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from eventpipe.cli.options import DebugOption, ProjectOption, open_project
from eventpipe.cli.terminal import err

if TYPE_CHECKING:
    from eventpipe.project.folder import Project


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 3000,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets others in, without a password.")
    ] = "127.0.0.1",
    project: ProjectOption = None,
    _debug: DebugOption = False,
) -> None:
    """Open the Dagster UI on this project: http://localhost:3000. Ctrl-C ends it."""
    opened = open_project(project)
    command, environ = ui_command(opened, host, port, os.environ)
    err().print(f"The Dagster UI on {opened.root}: http://{host}:{port} (Ctrl-C ends it)", soft_wrap=True)
    sys.stdout.flush()
    os.chdir(opened.root)  # Dagster tells of settings of its own that lie in the current folder
    # In place of this process, so that signals reach Dagster and its exit code is ours.
    os.execvpe(command[0], command, environ)


def ui_command(project: Project, host: str, port: int, environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command that serves the UI, and its environment. Dagster's own state lies in the project's state
    folder.
    """
    from eventpipe.defs.home import dagster_home
    from eventpipe.project.environment import PROJECT

    # That another command will take the place of this one some day is nothing that who runs it can act on.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quiet, "-m", "dagster", "dev", "--module-name", "eventpipe.definitions"]
    return (
        [*command, "--host", host, "--port", str(port)],
        {**environ, PROJECT: str(project.root), "DAGSTER_HOME": str(dagster_home(project))},
    )
