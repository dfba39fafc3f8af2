"""Run a command in a process of its own and tell how long it took and how much memory it held.

Memory is the resident set summed over the command and all its descendants, or the kernel's own high-water
mark of the largest single process (`VmHWM`), whichever is more, sampled from `/proc` every 20 ms. The sum counts
pages that processes share once for each, so it errs on the high side; the mark catches a peak between two
samples. Without `/proc` there is only `ru_maxrss`, which is not less than what this process, the parent, ever
held: the kernel hands that on to whom it starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eventpipe.errors import EventpipeError

_INTERVAL_SECONDS = 0.02
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_TAIL = 2_000


class CommandFailed(EventpipeError):
    """A measured command ended with an error; the message carries the end of what it wrote."""


@dataclass(frozen=True)
class Measurement:
    """One finished command: wall seconds, peak bytes of its process tree, and its standard output."""

    seconds: float
    peak_bytes: int
    stdout: str


def measure(
    command: Sequence[str], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> Measurement:
    """Run the command to its end. `environ` is added to the present environment.

    Raises `CommandFailed` when it ends with anything but 0.
    """
    # Files, not pipes: nobody has to read while the command runs, and a full pipe cannot stall it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            seconds = time.perf_counter() - started
            sampler.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout, stderr = (stream.read().decode("utf-8", "replace") for stream in (out, err))
    if process.returncode != 0:
        told = f"{stdout[-_TAIL:]}\n{stderr[-_TAIL:]}".strip()
        raise CommandFailed(f"`{' '.join(command)}` ended with {process.returncode}:\n{told}")
    return Measurement(seconds, sampler.peak_bytes or usage.ru_maxrss * _MAXRSS_UNIT, stdout)


class _Sampler(threading.Thread):
    """Keeps the largest sum of resident sets that the tree below one process was seen with."""

    def __init__(self, root: int) -> None:
        super().__init__(name="memory-sampler", daemon=True)
        self.peak_bytes = 0
        self._root = root
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_INTERVAL_SECONDS):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(self._root))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def tree_bytes(root: int) -> int:
    """Resident bytes of a process and its descendants, now, or the most that one of them ever held; 0 without `/proc`
    or when it is gone.
    """
    total, most, waiting = 0, 0, [root]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            total += _bytes(status["VmRSS"])
            most = max(most, _bytes(status["VmHWM"]))
            for task in (folder / "task").iterdir():
                waiting.extend(int(child) for child in (task / "children").read_text().split())
        except (OSError, KeyError):
            # The process ended between two reads, or the system keeps no such files.
            continue
    return max(total, most)


def _bytes(value: str) -> int:
    """`  1024 kB` as bytes."""
    return int(value.split()[0]) * 1024
