"""How far landing is: a bar where stderr is a terminal, a line now and then where it is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from eventpipe.cli.terminal import err, inert
from eventpipe.intake.exports import Selection, find
from eventpipe.wording import several

if TYPE_CHECKING:
    from eventpipe.intake.land import Landed
    from eventpipe.project.folder import Project

_PAUSE = 5.0  # seconds between two lines


def count_exports(project: Project, selection: Selection) -> int:
    """How many export files a run will look at."""
    return sum(1 for _ in find(project.exports, frozenset(project.profiles), selection))


class LandingProgress:
    """Tells how far landing is; a context manager whose `landed` is called for each export."""

    def __init__(self, exports: int) -> None:
        self._exports = exports
        self._seen = 0
        self._told_at = time.monotonic()
        self._console = err()
        self._bar = _bar(self._console, exports) if self._console.is_terminal else None

    def landed(self, landed: Landed) -> None:
        """One more export is done. A refused one is told at once."""
        self._seen += 1
        if landed.outcome == "refused" and landed.manifest is not None:
            self._say(f"refused {landed.key}: {landed.manifest.reason}: {landed.manifest.detail}")
        if self._bar is not None:
            done = self._seen >= self._exports
            self._bar.update(
                self._bar.task_ids[0],
                completed=self._seen,
                description="modelling and publishing" if done else "landing",
            )
        elif self._seen == self._exports or time.monotonic() - self._told_at >= _PAUSE:
            self._say(f"landing: {self._seen:,} of {several(self._exports, 'export')}")

    def aside(self, ask: Callable[[int], bool]) -> Callable[[int], bool]:
        """The same question, asked while no bar is drawn over it."""

        def asked(number: int) -> bool:
            if self._bar is None:
                return ask(number)
            self._bar.stop()
            answer = ask(number)
            self._bar.start()
            return answer

        return asked

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        elif self._exports:
            self._say(f"landing: {self._exports:,} {'export' if self._exports == 1 else 'exports'} to look at")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _say(self, line: str) -> None:
        self._told_at = time.monotonic()
        (self._bar.console if self._bar is not None else self._console).print(inert(line), soft_wrap=True)


def _bar(console: Console, exports: int) -> Progress:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    bar.add_task("starting", total=exports)
    return bar
