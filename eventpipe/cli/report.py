"""What a run did, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from eventpipe.cli.terminal import inert, out, table
from eventpipe.errors import EventpipeError
from eventpipe.intake.land import Landed, Outcome, counted
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.serving.file import open_published, row_counts

if TYPE_CHECKING:
    from eventpipe.intake.lake import Manifest
    from eventpipe.project.folder import Project

_OUTCOMES: tuple[Outcome, ...] = ("landed", "replaced", "unchanged", "refused", "waiting")


@dataclass(frozen=True)
class RunReport:
    """A run that published: its record, what became of each export that it looked at, what it landed, rows of
    each published table.
    """

    run: runs.Run
    exports: Mapping[str, int]
    counts: runs.Counts
    refused: tuple[Manifest, ...]
    tables: Mapping[str, int]

    @classmethod
    def of(cls, project: Project, run_id: str, landed: Sequence[Landed]) -> RunReport:
        """The report of the run with this id, from the ops store and the published file."""
        with OpsStore.open(project.ops) as store:
            run = runs.find(store, run_id)
        if run is None:
            raise EventpipeError(f"Run {run_id} left no record in {project.ops}. See `eventpipe status`.")
        outcomes = Counter(each.outcome for each in landed)
        with open_published(project) as published:
            tables = row_counts(published)
        return cls(
            run,
            {outcome: outcomes[outcome] for outcome in _OUTCOMES},
            counted(landed),
            tuple(each.manifest for each in landed if each.outcome == "refused" and each.manifest is not None),
            tables,
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for `--json`."""
        return {
            "run_id": self.run.run_id,
            "kind": self.run.kind,
            "as_of": self.run.as_of,
            "status": self.run.status,
            "full_refresh": self.run.full_refresh,
            "stages": [asdict(stage) for stage in self.run.stages],
            "counts": asdict(self.counts),
            "exports": dict(self.exports),
            "refused": [refusal(manifest) for manifest in self.refused],
            "tables": dict(self.tables),
        }

    def show(self) -> None:
        """The report on stdout."""
        console = out()
        seconds = sum(stage.seconds for stage in self.run.stages)
        console.print(
            f"Run {self.run.run_id} is {self.run.status}, as of {self.run.as_of:%Y-%m-%d %H:%M:%S %Z}, in "
            f"{seconds:.1f} s.",
            soft_wrap=True,
        )
        told = [f"{count:,} {outcome}" for outcome, count in self.exports.items() if count]
        console.print(f"Exports: {', '.join(told) or 'none'}.", soft_wrap=True)
        console.print(
            f"Lines landed: {self.counts.lines_accepted:,} accepted, {self.counts.lines_rejected:,} "
            f"rejected, {self.counts.lines_blank:,} blank.",
            soft_wrap=True,
        )
        stages = [(each.name, f"{each.seconds:.2f}", _count(each.rows)) for each in self.run.stages]
        console.print(table(("stage", "seconds", "rows"), stages, right=(1, 2)))
        rows = [(name, _count(count)) for name, count in self.tables.items()]
        console.print(table(("published table", "rows"), rows, right=(1,)))
        for manifest in self.refused:
            console.print(
                inert(f"Refused: {manifest.key}: {manifest.reason}: {manifest.detail}"),
                style="yellow",
                soft_wrap=True,
            )


def refusal(manifest: Manifest) -> dict[str, object]:
    """A refused export as plain data."""
    return {
        "source": manifest.source,
        "landed_on": manifest.landed_on,
        "file": manifest.file,
        "reason": manifest.reason,
        "detail": manifest.detail,
    }


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
