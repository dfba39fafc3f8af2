"""One project file as plain data that knows where each value stands and which came from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from eventpipe.errors import Problem

SHOWN_CHARACTERS: Final = 60

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value is: mapping keys and list positions, `("events", 0, "name")`."""


@dataclass(frozen=True)
class Document:
    """One file: its data, and for each key path the line it stands on.

    `data` is made of dict (text keys), list, str, int, float, bool and None. `origins` names the environment
    variables that a value was made from; `overrides` names the variable that replaced what the file says.
    `unresolved` holds the paths whose variable is not set: already reported, whatever else is said about them
    is a consequence.
    """

    file: str
    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    origins: Mapping[KeyPath, tuple[str, ...]] = field(default_factory=dict)
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)
    unresolved: frozenset[KeyPath] = frozenset()

    def problem(self, path: KeyPath, message: str) -> Problem:
        """`message` about the value at `path`, placed at its line or that of the nearest key above it."""
        if path in self.overrides:
            return Problem("environment", None, self.overrides[path], message)
        known = next((path[:end] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)
        return Problem(self.file, None if known is None else self.lines[known], dotted(path), message)

    def shown(self, path: KeyPath, value: object) -> str:
        """How a message may name `value`: as written, or by the variable that it came from."""
        if names := self.origins.get(path):
            return "the value of " + " and ".join(f"${{env:{name}}}" for name in names)
        if path in self.overrides:
            return "its value"
        return as_written(value)

    def hides(self, path: KeyPath) -> bool:
        """Whether the value at `path` came from the environment, so that no message may repeat it."""
        return path in self.origins or path in self.overrides

    def overridden(self, path: KeyPath, variable: str, value: object) -> Document:
        """This document with the value at `path` (mappings only) taken from an environment variable."""
        return replace(self, data=_with(self.data, path, value), overrides={**self.overrides, path: variable})


def dotted(path: KeyPath) -> str:
    """The key as a problem names it: `events.0.properties.2.type`, positions from 0."""
    return ".".join(str(part) for part in path)


def as_written(value: object) -> str:
    """A value in the words of YAML, cut at 60 characters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    text = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return repr(text) if isinstance(value, str) else text


def _with(data: Any, path: KeyPath, value: object) -> Any:
    if not path:
        return value
    if data is None:
        data = {}
    if not isinstance(data, dict):
        return data  # a file that is wrong here stays wrong
    return {**data, path[0]: _with(data.get(path[0]), path[1:], value)}
