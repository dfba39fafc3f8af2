"""How a command fails: one readable paragraph on stderr, with `--json` also an object on stdout, and an exit
code.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

import eventpipe
from eventpipe.cli.terminal import err, inert, print_json
from eventpipe.errors import ConfigurationError, EventpipeError, Problem

INTERRUPTED = 130
PIPE_CLOSED = 141


@dataclass(frozen=True)
class Switches:
    """The options that decide how a failure is told."""

    json: bool
    debug: bool


def switches(arguments: Sequence[str]) -> Switches:
    """Read from the bare arguments: a failure to parse them is told by them too."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return Switches("--json" in options, "--debug" in options)


@dataclass(frozen=True)
class Failure:
    """What went wrong, as it is told. `problems` are those of the project's files."""

    kind: str
    message: str
    exit_code: int
    problems: tuple[Problem, ...]
    error: BaseException

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Any exception that ended a command."""
        kind = type(error).__name__
        if _is_interruption(error):
            told = "Interrupted. What was finished stays; start again to go on."
            return cls("Interrupted", told, INTERRUPTED, (), error)
        match error:
            case ConfigurationError():
                count = len(error.problems)
                message = f"{count} problem{'s' * (count != 1)} in the project's files; nothing was read or done."
                return cls(kind, message, error.exit_code, error.problems, error)
            case EventpipeError():
                return cls(kind, str(error), error.exit_code, (), error)
            case typer.TyperException():
                return cls("UsageError", _usage(error), 2, (), error)
            case _ if (place := _full_disk(error)) is not None:
                told = f"The disk is full{place}. What was finished stays. Free some space and start again."
                return cls(kind, told, 1, (), error)
            case _ if _is_disk_fault(error):
                told = (
                    "The disk could not be read or written: it is full, or fails. What was finished stays. Check it and its free "
                    "space, and start again."
                )
                return cls(kind, told, 1, (), error)
            case OSError() if error.strerror and isinstance(error.filename, str | bytes):
                return cls(kind, _refusal(error, os.fsdecode(error.filename)), 1, (), error)
            case _:
                return cls(kind, _unexpected(error), 1, (), error)

    def show(self, switches: Switches) -> None:
        """Writes the failure out; the traceback only with `--debug`."""
        if switches.debug and not isinstance(self.error, typer.TyperException):
            traceback.print_exception(self.error, file=sys.stderr)
        paragraph = self.message if self.kind == "Interrupted" else f"Error: {self.message}"
        text = "\n".join([inert(" ".join(paragraph.split())), *(inert(str(problem)) for problem in self.problems)])
        err().print(text, markup=False, highlight=False, soft_wrap=True, style="red" if not self.problems else None)
        if switches.json:
            print_json({"error": self._as_object()})

    def _as_object(self) -> dict[str, object]:
        told: dict[str, object] = {"type": self.kind, "message": self.message, "exit_code": self.exit_code}
        if self.problems:
            told["problems"] = [
                {"file": each.file, "line": each.line, "key": each.key, "message": each.message}
                for each in self.problems
            ]
        return told


def _is_interruption(error: BaseException | None) -> bool:
    """Ctrl-C, whatever it became on its way: a query of the engine ends with a RuntimeError of its own."""
    return any(
        isinstance(each, KeyboardInterrupt | typer.Abort) or "Query interrupted" in str(each) for each in _behind(error)
    )


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "eventpipe"
    return f"{error.format_message().rstrip('.')}. See `{command} --help`."


def _full_disk(error: BaseException | None) -> str | None:
    """Where there is no room, in brackets if it is known; None when that is not what ended the command. SQLite's word for
    it comes wrapped, as Dagster's record has it.
    """
    for each in _behind(error):
        if isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT):
            return "" if each.filename is None else f" ({each.filename})"
        if _sqlite_code(each) == sqlite3.SQLITE_FULL:
            return ""
    return None


def _is_disk_fault(error: BaseException | None) -> bool:
    """What SQLite says of a full disk too, depending on what it was about to write."""
    return any((_sqlite_code(each) or 0) & 0xFF == sqlite3.SQLITE_IOERR for each in _behind(error))


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _sqlite_code(error: BaseException) -> int | None:
    return getattr(error, "sqlite_errorcode", None) if isinstance(error, sqlite3.Error) else None


def _refusal(error: OSError, place: str) -> str:
    """What the operating system said of a file."""
    # The user by number: in a container it may have no name.
    may = f" Let user {os.getuid()} read and write it, and start again." if isinstance(error, PermissionError) else ""
    return f"{place}: {error.strerror}.{may} The published tables are as they were."


def _unexpected(error: BaseException) -> str:
    """A fault of the program. Its own message may hold personal data, so it is shown with --debug only."""
    package = Path(eventpipe.__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(package)]
    place = f" in {Path(ours[-1].filename).relative_to(package)}:{ours[-1].lineno}" if ours else ""
    return (
        f"eventpipe itself failed: {type(error).__name__}{place}. The published tables are as they were. Run "
        "the command again with --debug to see all of it, and report it."
    )
