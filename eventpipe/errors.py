"""The errors that eventpipe raises on purpose, and the exit code each ends with; what a stage alone can raise is derived from one
of these, beside the stage.

    EventpipeError                1  something failed
    ├── UsageError                2  a wrong argument; nothing was done
    │   └── ConfigurationError    2  a wrong project file; nothing was read
    ├── AuditHeld                 3  the audit held the publish back; the last good tables are served
    ├── LeaseHeld                 1  another run is writing
    └── StageFailed               1  a stage stopped; what was committed before it stays

A message is one paragraph for a person: what is wrong, where, what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class EventpipeError(Exception):
    """The root: the command line prints its message and ends with `exit_code`."""

    exit_code = 1


class UsageError(EventpipeError):
    """A wrong argument. Nothing was done."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one place of a project file.

    `key` is the dotted path of the key (`sources.web.preset`); `line` counts from 1, None where no line applies.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigurationError(UsageError):
    """One or more project files are wrong. All problems are found before it is raised; no input was read."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AuditHeld(EventpipeError):
    """The audit found an error: nothing was published."""

    exit_code = 3


class LeaseHeld(EventpipeError):
    """Another run holds the lease on this project and did not end in time."""


class StageFailed(EventpipeError):
    """A stage of the pipeline stopped. What earlier stages committed stays; the published tables are untouched."""
