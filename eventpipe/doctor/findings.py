"""What the doctor says: promises, each with its checks and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["kept", "broken", "unchecked"]


@dataclass(frozen=True)
class Check:
    """One check. `numbers` say what was counted; `detail` what is wrong and what to do, or why it was not
    checked.
    """

    name: str
    state: State
    numbers: Mapping[str, int]
    detail: str = ""

    @classmethod
    def of(cls, name: str, kept: bool, numbers: Mapping[str, int], detail: str) -> Check:
        """Kept or broken; `detail` is told when it is broken."""
        return cls(name, "kept" if kept else "broken", numbers, "" if kept else detail)


@dataclass(frozen=True)
class Promise:
    """One promise of the README and the checks that it is kept by."""

    number: int
    name: str
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """Broken when a check is, kept when all are."""
        states = {check.state for check in self.checks}
        if "broken" in states:
            return "broken"
        return "kept" if states == {"kept"} else "unchecked"

    def as_dict(self) -> dict[str, Any]:
        """The promise as plain data, for `--json`."""
        checks = [
            {"name": each.name, "state": each.state, "numbers": dict(each.numbers), "detail": each.detail}
            for each in self.checks
        ]
        return {"number": self.number, "name": self.name, "state": self.state, "checks": checks}
