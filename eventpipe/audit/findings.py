"""What a check of the audit says: passed or not, with the numbers it saw, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import duckdb

Severity = Literal["error", "warn"]
Status = Literal["passed", "failed", "skipped"]
Kind = Literal["dbt", "expectation", "volume", "freshness", "drift", "orders", "identity"]

MOST_ROWS: Final = 5
WITHHELD: Final = "(withheld)"

_NAME: Final = re.compile(r"(?!.*\d{5})[\w .:/-]{1,60}")


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. `asset` is the table it is about, `subject` the part of it.

    An error holds the publish back, a warning does not. `skipped`: there was nothing to judge. `observed` are numbers
    and short words; `failing` a few rows that did not satisfy it. None of them holds personal data: what senders choose
    freely goes through `shown`.
    """

    check: str
    kind: Kind
    asset: str
    subject: str
    severity: Severity
    status: Status
    observed: Mapping[str, Any] = field(default_factory=dict)
    failing: Sequence[Mapping[str, Any]] = ()
    message: str | None = None

    @property
    def holds_back(self) -> bool:
        """Whether the run must not be published."""
        return self.status == "failed" and self.severity == "error"

    @property
    def warns(self) -> bool:
        """Whether a person should look at it, though the run is published."""
        return self.status == "failed" and self.severity == "warn"

    def __str__(self) -> str:
        seen = ", ".join(f"{name} {value}" for name, value in self.observed.items() if value is not None)
        told = f"{self.check} on {self.subject}" if self.subject != self.check else self.check
        return f"{told} ({seen})" if seen else told


def told(
    check: str,
    asset: str,
    failing: Sequence[Mapping[str, Any]],
    observed: Mapping[str, Any],
    message: str,
    *,
    skipped: bool = False,
) -> Finding:
    """A warning of drift about a whole table, with the first of its rows that did not satisfy it; passed where none is there."""
    return Finding(
        check=check,
        kind="drift",
        asset=asset,
        subject=asset,
        severity="warn",
        status="failed" if failing else "skipped" if skipped else "passed",
        observed=observed,
        failing=tuple(failing[: 4 * MOST_ROWS]),
        message=message if failing else None,
    )


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """What a query gives, by column."""
    result = connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def shown(name: str | None) -> str:
    """A name that senders chose, where it looks like one: others may be an address or a number of somebody."""
    if not name:
        return "(none)"
    return name if _NAME.fullmatch(name) else WITHHELD
