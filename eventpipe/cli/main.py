"""`eventpipe`: the commands, and how the program ends.

Starting must be quick: a module here imports nothing heavy (Dagster, dbt, polars, SQLAlchemy) outside the
command that needs it.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from eventpipe import __version__
from eventpipe.cli import (
    admin,
    automations,
    backfill,
    contact,
    deliver,
    doctor,
    erase,
    events,
    hold,
    identity,
    init,
    prune,
    quarantine,
    query,
    sample,
    segments,
    status,
    ui,
)
from eventpipe.cli import run as run_command
from eventpipe.cli.failure import INTERRUPTED, PIPE_CLOSED, Failure, switches
from eventpipe.errors import UsageError

app = typer.Typer(
    name="eventpipe",
    help="Customer events from raw exports to published tables.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    init.init,
    sample.sample,
    run_command.run,
    backfill.backfill,
    prune.prune,
    erase.erase,
    deliver.deliver,
    status.status,
    doctor.doctor,
    query.query,
    ui.ui,
):
    app.command()(command)
app.add_typer(admin.app, name="admin")
app.add_typer(contact.app, name="contact")
app.add_typer(identity.app, name="identity")
app.add_typer(segments.app, name="segments")
app.add_typer(automations.app, name="automations")
app.add_typer(deliver.app, name="deliveries")
app.add_typer(events.app, name="events")
app.add_typer(hold.app, name="hold")
app.add_typer(quarantine.app, name="quarantine")


def run() -> None:
    """The console script: runs the command of `sys.argv` and ends the process with its exit code."""
    # Thousands of modules stay to the end; Python would look for garbage among them 1,700 times in a small run.
    gc.set_threshold(50_000)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # data decides what is printed, not the locale
    code = main(sys.argv[1:])
    gc.freeze()  # nor is there any use in taking them apart one by one at the end, which takes a second
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns the exit code.

    0 good; 1 failed; 2 wrong usage or configuration, nothing done; 3 the audit held the publish back. A
    command that is interrupted ends with 130, one whose reader went away with 141, as a shell reports those
    signals.
    """
    try:
        _refuse_bytes(arguments)
        code = app(list(arguments), prog_name="eventpipe", standalone_mode=False)
        sys.stdout.flush()
    except (
        BrokenPipeError,
        SystemExit,
    ):  # typer leaves by SystemExit when, and only when, the pipe is closed
        return _reader_went_away()
    except (Exception, KeyboardInterrupt) as error:
        failure = Failure.of(error)
    else:
        if code != INTERRUPTED:
            return int(code or 0)
        failure = Failure.of(KeyboardInterrupt())
    try:
        failure.show(switches(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_went_away()
    return failure.exit_code


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    project: Annotated[str | None, typer.Option("--project", metavar="DIR", hidden=True)] = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """What may stand before the command. `--project` is found again by `eventpipe.cli.options`."""
    context.obj = project
    if version:
        typer.echo(f"eventpipe {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    else:
        return
    raise typer.Exit


def _refuse_bytes(arguments: Sequence[str]) -> None:
    """Python hands over bytes that its locale cannot read as halves of characters, which no file and no query takes."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"The argument {argument!a} is no text in UTF-8: write it so, in a locale of UTF-8 (LC_ALL=C.UTF-8)."
            ) from None


def _reader_went_away() -> int:
    """Nobody reads on (`eventpipe query ... | head`): end without a word, also when Python flushes at its own
    end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
