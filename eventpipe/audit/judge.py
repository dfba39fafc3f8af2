"""Great Expectations at work in a process of its own: its import takes seconds, which pass while the engine works.

The process is started some time before it is asked, judges one batch, and ends; it also ends when whoever started it does.
It gets the expectations and the frames, and gives the findings. Where this process has the library already, it judges.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from eventpipe.audit import suites
from eventpipe.audit.findings import Finding
from eventpipe.errors import StageFailed
from eventpipe.project.expectations import Expectation, Frame

if TYPE_CHECKING:
    import pandas as pd

Findings = Callable[[], Sequence[Finding]]
"""Waits for what was found, and gives it."""

Ask = Callable[[Sequence[Expectation], "Mapping[Frame, pd.DataFrame]", Path | None], Findings]
"""Has one batch judged, as `suites.judge` does."""


class Judge:
    """The process; a context manager that ends it. Until `start` there is none."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
        self._threads.shutdown()
        if self._process is not None:
            self._process.communicate()

    def start(self) -> None:
        """Lets the process get ready. Once is enough."""
        if self._process is None and not suites.is_loaded():
            self._process = subprocess.Popen(
                # -P: what lies in the current folder is no module of ours.
                [sys.executable, "-P", "-m", "eventpipe.audit.judge"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )

    def ask(
        self, expectations: Sequence[Expectation], frames: Mapping[Frame, pd.DataFrame], docs: Path | None
    ) -> Findings:
        """Has one batch judged as `suites.judge` does. Errors, when the findings are fetched: `StageFailed`."""
        self.start()
        if self._process is None:
            return lambda: list(suites.judge(expectations, frames, docs))
        process, question = self._process, pickle.dumps((expectations, frames, docs))
        asked = self._threads.submit(process.communicate, question)

        def findings() -> Sequence[Finding]:
            answer, complaint = asked.result()
            if process.returncode:
                told = complaint.decode(errors="replace").strip().splitlines() or [f"exit {process.returncode}"]
                raise StageFailed(
                    f"The expectations of expectations.yml could not be judged ({told[-1][:300]}). The published tables "
                    "are untouched; run again, and if it happens again, judge them one by one."
                )
            found: Sequence[Finding] | OSError = pickle.loads(answer)
            if isinstance(found, OSError):
                raise found
            return found

        return findings


def main() -> None:
    """Answers one question on the standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the run ends this process by its closed input
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # whatever the library prints
        gc.set_threshold(50_000)  # as in `eventpipe.cli.main`
        suites.library()
        question = sys.stdin.buffer.read()
        if question:
            found: Sequence[Finding] | OSError
            try:
                found = list(suites.judge(*pickle.loads(question)))
            except OSError as error:  # a full disk is no fault of an expectation
                found = error
            pickle.dump(found, answer)


if __name__ == "__main__":
    main()
