"""Writing to the terminal: consoles, tables, JSON. Text from data is inert: no markup, no control codes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from eventpipe.cli.values import json_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNCROPPED = 10_000  # columns: what is not a terminal gets whole lines


def out() -> Console:
    """stdout, for what a command was asked for."""
    return _console(stderr=False)


def err() -> Console:
    """stderr, for progress, notes and errors."""
    return _console(stderr=True)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json_text(value, indent=2) + "\n")


def inert(text: str) -> str:
    """`text` on one line, with what is not printable (escape sequences, direction marks) made visible."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = (), whole: Iterable[int] = ()
) -> Table:
    """A table of inert text; the columns `right` (positions) are flush right, as numbers are, and those `whole` stay on one
    line where the terminal has room, as what is copied out of it should."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE, pad_edge=False, show_edge=False, show_header=any(columns))
    numbers, unbroken = set(right), set(whole)
    for position, column in enumerate(columns):
        made.add_column(
            Text(inert(column)),
            justify="right" if position in numbers else "left",
            overflow="fold",
            no_wrap=position in unbroken,
        )
    for row in rows:
        made.add_row(*(Text(inert(cell)) for cell in row))
    return made


def _console(*, stderr: bool) -> Console:
    from rich.console import Console  # late: `--json` and CSV need none of it

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNCROPPED
    return console
