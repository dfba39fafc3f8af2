"""Landing: every new or changed export becomes one Parquet file in the lake."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from eventpipe.engine import in_memory
from eventpipe.erasure.tombstones import Tombstones
from eventpipe.errors import EventpipeError
from eventpipe.intake.erased import Forgetting
from eventpipe.intake.exports import NO_DATES, Export, ExportKey, Selection, changed, find, settled
from eventpipe.intake.judge import Judge, newly_accepted
from eventpipe.intake.lake import Lake, Manifest, parquet
from eventpipe.intake.refusal import UNREADABLE, ExportChanged, ExportRefused
from eventpipe.intake.together import portions
from eventpipe.ops.quiet import Quieten, QuietLines
from eventpipe.ops.runs import Counts
from eventpipe.project.folder import Project

Outcome = Literal["landed", "replaced", "unchanged", "refused", "waiting"]


@dataclass(frozen=True)
class Landed:
    """What became of one export. `manifest` is None while the export waits."""

    key: ExportKey
    outcome: Outcome
    manifest: Manifest | None


def land_exports(
    project: Project,
    selection: Selection,
    now: datetime,
    *,
    tombstones: Tombstones,
    only_settled: bool = False,
    again: bool = False,
    quieten: Quieten | None = None,
    on_landed: Callable[[Landed], None] = lambda _: None,
) -> list[Landed]:
    """Land what is new or changed in the selected dates; with `again`, judge everything there anew. `tombstones` are of who was
    erased.

    An export that is gone from the exports folder stays in the lake. The exports are independent of each other: a
    refused one is recorded and costs no other. Each is committed by itself, so an interrupted call is resumed by the
    next. Errors: `EventpipeError` where that folder is gone.
    """
    if selection != NO_DATES and not project.exports.is_dir():
        raise EventpipeError(
            f"There is no folder {project.exports}: if it is on a disk of its own, is that mounted? Nothing was landed. Its name "
            "is `paths.exports` in eventpipe.yml."
        )
    lake = Lake(project.lake)
    lake.root.mkdir(parents=True, exist_ok=True)
    lake.sweep()
    lake.keep_rules({name: profile.merge_rules for name, profile in project.profiles.items()})
    lander = Lander(project, lake, now, tombstones)
    results: list[Landed] = []
    ready: list[Export] = []
    for export in find(project.exports, frozenset(project.profiles), selection):
        if only_settled and not settled(export, project.settings.settle, now):
            results.append(Landed(export.key, "waiting", None))
        else:
            ready.append(export)

    def some(exports: list[Export]) -> list[Landed]:
        return lander.land(exports, again=again, quieten=quieten)

    for landed in results:
        on_landed(landed)
    # One export uses all cores while it is parsed, but not while it is opened, planned and committed.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for portion in pool.map(some, portions(ready)):
            for landed in portion:
                on_landed(landed)
            results += portion
    return results


def counted(landed: Sequence[Landed]) -> Counts:
    """What became of exports, as a run is recorded with it."""
    outcomes = Counter(each.outcome for each in landed)
    manifests = [each.manifest for each in landed if each.manifest and each.outcome in ("landed", "replaced")]
    return Counts(
        exports_landed=outcomes["landed"] + outcomes["replaced"],
        exports_unchanged=outcomes["unchanged"] + outcomes["waiting"],
        exports_refused=outcomes["refused"],
        lines_accepted=sum(manifest.accepted for manifest in manifests),
        lines_rejected=sum(manifest.rejected for manifest in manifests),
        lines_blank=sum(manifest.blank for manifest in manifests),
    )


class Lander:
    """Has exports judged and commits them to the lake."""

    def __init__(self, project: Project, lake: Lake, now: datetime, tombstones: Tombstones) -> None:
        self._project = project
        self._lake = lake
        self._judge = Judge(project, lake, now)
        self._forgetting = Forgetting(project, tombstones)

    def land(self, exports: Sequence[Export], *, again: bool, quieten: Quieten | None = None) -> list[Landed]:
        """Exports of one source into the lake, each by itself, if it is new there or changed, or `again`. `quieten` is told
        first of the lines that are accepted and were not before."""
        known = {export.key: self._lake.manifest(export.key) for export in exports}
        fresh = [export for export in exports if again or not self._stands(export, known[export.key])]
        for export in fresh:
            self._lake.folder(export.key).mkdir(parents=True, exist_ok=True)
        judged = self._judge.judged_together(fresh) if len(fresh) > 1 else {}
        keys = {export.key for export in fresh}
        return [
            self._landed(export, known[export.key], judged.get(export.key), quieten)
            if export.key in keys
            else Landed(export.key, "unchanged", known[export.key])
            for export in exports
        ]

    def _stands(self, export: Export, known: Manifest | None) -> bool:
        """Whether the lake holds the export as it is now."""
        if known is None or known.state == export.state:
            return known is not None
        if not self._same_content(export, known):
            return False
        self._lake.commit(replace(known, state=export.state), None)
        return True

    def _landed(
        self,
        export: Export,
        known: Manifest | None,
        judged: tuple[Manifest, Path] | None,
        quieten: Quieten | None,
    ) -> Landed:
        """One export committed to the lake; it is judged here unless it was."""
        rows: Path | None
        try:
            manifest, rows = judged or self._judge.judged(export)
        except ExportChanged:
            return Landed(export.key, "waiting", known)
        except ExportRefused as refusal:
            if changed(export) or (refusal.reason == UNREADABLE and known is not None and known.status == "loaded"):
                # What was read of it is no whole file, or nothing was: that says nothing of what it holds.
                return Landed(export.key, "waiting", known)
            manifest, rows = self._judge.refused(export, refusal), None
        if rows is not None:
            manifest, rows = self._forgetting.applied(manifest, rows)
        if quieten is not None and rows is not None and (quiet := self._quiet(known, manifest, rows)) is not None:
            quieten(quiet)
        self._lake.commit(manifest, rows)
        outcome: Outcome = "refused" if manifest.status == "refused" else "replaced" if known else "landed"
        return Landed(export.key, outcome, manifest)

    def _quiet(self, known: Manifest | None, manifest: Manifest, rows: Path) -> QuietLines | None:
        """The accepted lines of an export that the lake does not hold as accepted; None where there is none."""
        stored = None if known is None else self._lake.data_path(known)
        if known is None or stored is None or known.sha256 != manifest.sha256:
            lines = None
        else:
            with in_memory(self._project) as connection:
                lines = newly_accepted(connection, parquet([rows]), parquet([stored]))
            if lines.is_empty():
                return None
        return QuietLines(manifest.source, manifest.landed_on, manifest.file, manifest.sha256, lines)

    def _same_content(self, export: Export, known: Manifest) -> bool:
        if export.link or export.state.size != known.bytes:
            return False
        try:
            with export.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == known.sha256
        except OSError:
            return False


def by_outcome(results: list[Landed]) -> Iterator[tuple[Outcome, int]]:
    """How many exports came to each outcome, those that occurred only."""
    for outcome in ("landed", "replaced", "unchanged", "refused", "waiting"):
        count = sum(1 for landed in results if landed.outcome == outcome)
        if count:
            yield outcome, count
