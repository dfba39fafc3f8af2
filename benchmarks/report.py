"""What was measured, as rows that a person reads, and whether every limit held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from benchmarks.commands import Stage


@dataclass(frozen=True)
class Row:
    """One comparison. `limit` bounds the ratio, or, where `absolute`, our own figure in `unit`."""

    name: str
    ours: float
    yardstick: float
    against: str
    limit: float
    unit: str = "s"
    absolute: bool = False

    @property
    def ratio(self) -> float:
        return self.ours / self.yardstick

    @property
    def ok(self) -> bool:
        return (self.ours if self.absolute else self.ratio) <= self.limit


@dataclass(frozen=True)
class Check:
    """Something that must come out the same on both sides."""

    name: str
    ours: str
    expected: str

    @property
    def ok(self) -> bool:
        return self.ours == self.expected


@dataclass(frozen=True)
class StageTimes:
    """The stages of one run, in order."""

    run: str
    stages: tuple[Stage, ...]


@dataclass
class Report:
    """Collects what the cases found, in the order they ran."""

    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    stage_times: list[StageTimes] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        held = [row.ok for row in self.rows] + [check.ok for check in self.checks]
        return not self.failures and all(held)


def print_report(report: Report, console: Console) -> None:
    """Print the comparisons, the checks, the stage times and the failures."""
    if report.rows:
        console.print(_comparisons(report.rows))
    for check in report.checks:
        verdict = "same" if check.ok else f"NOT the same, expected {check.expected}"
        console.print(f"{check.name}: {check.ours}: {verdict}", highlight=False, soft_wrap=True)
    for times in report.stage_times:
        parts = ", ".join(f"{stage.name} {stage.seconds:.2f}" for stage in times.stages)
        console.print(f"{times.run}, seconds: {parts or 'not told'}", highlight=False, soft_wrap=True)
    for failure in report.failures:
        console.print(f"failed: {failure}", markup=False, highlight=False, soft_wrap=True)


def _comparisons(rows: Sequence[Row]) -> Table:
    table = Table("name", "ours", "yardstick", "what the yardstick is", "ratio", "limit", "ok")
    for column in (1, 2, 4, 5):
        table.columns[column].justify = "right"
        table.columns[column].no_wrap = True
    for row in rows:
        table.add_row(
            row.name,
            f"{row.ours:.2f} {row.unit}",
            f"{row.yardstick:.2f} {row.unit}",
            row.against,
            f"{row.ratio:.2f}",
            f"{row.limit:g} {row.unit}" if row.absolute else f"{row.limit:g}",
            "yes" if row.ok else "NO",
        )
    return table
