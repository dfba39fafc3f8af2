"""Named fail points at each side effect of a run, for tests only.

    EVENTPIPE_FAIL_AT=<point>:<action>[:<n>]

At the n-th time that the point is reached (default the first) the action happens: `raise` an error, `kill` this process
as an operator or the kernel would, or find the disk `full`. Without the variable a point costs one look-up.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from typing import Final

from eventpipe.errors import EventpipeError, UsageError

VARIABLE: Final = "EVENTPIPE_FAIL_AT"

POINTS: Final = (
    "lake.written",  # an export's rows are there under a temporary name
    "lake.renamed",  # ... under their own name, but no manifest names them
    "lake.committed",  # the manifest names them; the rows that they replace are still there
    "plan.emptying",  # a rebuild has begun to drop tables
    "resolve.done",
    "identify.done",
    "model.done",  # the tables are made, but nothing says so
    "model.remembered",
    "segment.done",
    "decide.judged",  # decisions are made, but nobody knows of them
    "decide.recorded",  # the ops store has them, the tables do not show them
    "deliver.sent",  # a target has a trigger, but nobody knows of it
    "publish.written",  # the new tables lie beside the published ones
    "publish.renamed",  # ... in their place, but the run is not recorded as published
)
REMOVAL_POINTS: Final = (
    "lake.removed",  # a pruned export's manifest is gone, its rows are still there
    "erase.recorded",  # nobody of that name lands any more, and everything of them is still there
    "erase.taken_out",  # they are in no file but the published tables
    "erase.published",  # they are in no table, but bytes of them may be in free room of files
)
SERVER_POINTS: Final = (
    "publish.sent",  # the server has all rows, and no commit
    "publish.committed",  # readers of the server see them, but the file beside the project is still the old one
)

_reached: Counter[str] = Counter()


class FailPointReached(EventpipeError):
    """A fail point was asked to raise."""


def reach(point: str) -> None:
    """Called where the side effect happens."""
    asked = os.environ.get(VARIABLE)
    if asked:
        _act(point, asked)


def count_anew() -> None:
    """The next time that a point is reached is the first: a process that is made to fail more than once says so in between."""
    _reached.clear()


def _act(point: str, asked: str) -> None:
    wanted, _, how = asked.partition(":")
    action, _, number = how.partition(":")
    if (
        wanted not in (*POINTS, *REMOVAL_POINTS, *SERVER_POINTS)
        or action not in ("raise", "kill", "full")
        or not (number or "1").isdecimal()
    ):
        raise UsageError(
            f"{VARIABLE}={asked}: give <point>:raise|kill|full[:n], a point out of {', '.join((*POINTS, *REMOVAL_POINTS, *SERVER_POINTS))}"
        )
    if point != wanted:
        return
    _reached[point] += 1
    if _reached[point] != int(number or "1"):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise FailPointReached(f"The run was made to fail at {point}, by {VARIABLE}. Unset the variable.")
