"""Which process holds something, told so precisely that another can see whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process as others can find it again.

    `birth` is `<boot>/<pid namespace>/<start tick>` where the system tells (Linux): a process id alone is
    reused after a while, and means something else in another container, even one with the same host name.
    Empty elsewhere.
    """

    host: str
    pid: int
    birth: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_gone(self, seen_from: Process) -> bool:
        """True only when it has certainly ended: it ran where `seen_from` runs, and exists no more."""
        if self.host != seen_from.host or _where(self.birth) != _where(seen_from.birth):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it exists, and is another user's
            return False
        state, started = _state_and_start(self.pid)
        if state in ("Z", "X"):  # killed, only not yet collected by its parent
            return True
        return bool(started and self.birth) and started != self.birth.rpartition("/")[2]


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    _, started = _state_and_start(pid)
    boot = _first_line(Path("/proc/sys/kernel/random/boot_id"))
    birth = f"{boot}/{_namespace()}/{started}" if started else ""
    return Process(host=socket.gethostname(), pid=pid, birth=birth)


def _where(birth: str) -> str:
    return birth.rpartition("/")[0]


def _state_and_start(pid: int) -> tuple[str, str]:
    """State letter and start tick of a process (proc(5), fields 3 and 22), empty where unknown."""
    # The command's name, in parentheses, may itself hold blanks and parentheses.
    fields = _first_line(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""
