"""Runs in processes of their own, which can be killed.

They are forked from a server that has imported everything already and done nothing else: a run in a fresh interpreter
would spend most of its time importing.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path

from eventpipe.failpoints import VARIABLE
from eventpipe.project.folder import load_project
from eventpipe_tests.pipeline.shop import Shop

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__, "eventpipe_tests.pipeline.forked"])

KILLED = -signal.SIGKILL
FAILED = 1


def start_run(
    root: Path,
    as_of: datetime,
    *,
    fail_at: str = "",
    full_refresh: bool = False,
    largest_file: int | None = None,
) -> BaseProcess:
    """Starts a run of the project in `root`. `largest_file`: bytes beyond which no file can be written any more when
    the run comes to publish.
    """
    process = _SERVER.Process(target=_run, args=(root, as_of, fail_at, full_refresh, largest_file))
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Waits for the end of a run; its exit code, negative where a signal ended it."""
    process.join(timeout=120)
    assert process.exitcode is not None, "the run does not end"
    return process.exitcode


def _run(root: Path, as_of: datetime, fail_at: str, full_refresh: bool, largest_file: int | None) -> None:
    os.environ[VARIABLE] = fail_at
    # What a failing run prints would stand in the middle of the tests' own output.
    os.dup2(os.open(f"{root}.stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    with Shop(load_project(root, {})).refresh(as_of, full_refresh=full_refresh) as refresh:
        refresh.land()
        refresh.resolve()
        refresh.identify()
        refresh.model()
        refresh.segment()
        refresh.audit()
        refresh.decide()
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
        refresh.publish()
