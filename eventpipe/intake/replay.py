"""Replay: rejected lines judged by today's definitions (spec 5, "Undoable").

Only the rejected lines that are asked for are judged again; what an export's other lines became, and by which definitions,
stays. A line keeps its place (landed_on, file, line), so the tables are those of a project that had the right definition
for that line from the start. An export in which nothing changes is not touched: a second replay does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import duckdb

from eventpipe.intake.contract import LAKE_COLUMNS
from eventpipe.intake.exports import Export, Selection, find
from eventpipe.intake.lake import Lake, Manifest, file_stem, parquet
from eventpipe.intake.land import Lander, newly_accepted
from eventpipe.intake.refusal import ExportChanged, ExportRefused
from eventpipe.ops.quiet import Quieten, QuietLines
from eventpipe.project.folder import Project
from eventpipe.sql import literal

Outcome = Literal["replayed", "unchanged", "gone", "changed"]


@dataclass(frozen=True)
class Wanted:
    """Which rejected lines to judge again: those with a reason (its code, or code and name), of an event (as sent or as
    defined), landed on a date or later. None takes all."""

    reason: str | None = None
    event: str | None = None
    since: date | None = None

    def condition(self) -> str:
        """Over the lake's columns."""
        parts = ["status = 'rejected'"]
        if self.reason is not None:
            wanted = literal(self.reason)
            parts.append(f"len(list_filter(reasons, lambda r: r = {wanted} or split_part(r, ':', 1) = {wanted})) > 0")
        if self.event is not None:
            parts.append(f"(event_name = {literal(self.event)} or raw_event_name = {literal(self.event)})")
        return " and ".join(parts)


@dataclass(frozen=True)
class Replayed:
    """What became of the wanted lines of one export. `gone`: the file is no longer in exports; `changed`: it is another
    one there, which the next run lands whole."""

    manifest: Manifest
    outcome: Outcome
    lines: int
    accepted: int


def replay(
    project: Project,
    wanted: Wanted,
    now: datetime,
    on_export: Callable[[Replayed], None] = lambda _: None,
    *,
    quieten: Quieten | None = None,
) -> list[Replayed]:
    """Judge the wanted lines again, export by export; each is committed by itself. `quieten` is told first of the lines
    that are accepted now."""
    lake = Lake(project.lake)
    lake.sweep()
    lander = Lander(project, lake, now)
    exports = {
        export.key: export for export in find(project.exports, frozenset(project.profiles), Selection(wanted.since))
    }
    results = []
    for manifest, rows, lines in _candidates(lake, wanted):
        export = exports.get(manifest.key)
        done = (
            Replayed(manifest, "gone", lines, 0)
            if export is None
            else _replayed(lake, lander, wanted, manifest, rows, lines, export, quieten)
        )
        on_export(done)
        results.append(done)
    return results


def _candidates(lake: Lake, wanted: Wanted) -> Iterator[tuple[Manifest, Path, int]]:
    """Exports with wanted lines: the manifest, the rows, how many lines."""
    with duckdb.connect() as connection:
        for manifest in lake.manifests():
            rows = lake.data_path(manifest)
            if (
                not manifest.rejected
                or rows is None
                or (wanted.since is not None and manifest.landed_on < wanted.since)
            ):
                continue
            lines = _count(connection, f"select count(*) from {parquet([rows])} where {wanted.condition()}")
            if lines:
                yield manifest, rows, lines


def _replayed(
    lake: Lake,
    lander: Lander,
    wanted: Wanted,
    manifest: Manifest,
    rows: Path,
    lines: int,
    export: Export,
    quieten: Quieten | None,
) -> Replayed:
    try:
        judged, fresh = lander.judged(export)
    except (ExportChanged, ExportRefused):
        return Replayed(manifest, "changed", lines, 0)
    if judged.sha256 != manifest.sha256:
        fresh.unlink()
        return Replayed(manifest, "changed", lines, 0)
    merged = fresh.with_name(f"{file_stem(manifest.file)}.replay.parquet.tmp")
    columns = ", ".join(LAKE_COLUMNS)
    try:
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
            connection.execute(f"create view stored as select {columns} from {parquet([rows])}")
            connection.execute(f"create view fresh as select {columns} from {parquet([fresh])}")
            connection.execute(f"create table wanted as select line, index from stored where {wanted.condition()}")
            # A line that was rejected whole may hold many events today.
            connection.execute(
                "create table again as select fresh.* from fresh semi join wanted on fresh.line = wanted.line"
                " and (wanted.index is null or fresh.index is not distinct from wanted.index)"
            )
            if not _count(connection, "select count(*) from (from again except from stored)"):
                return Replayed(manifest, "unchanged", lines, 0)
            connection.execute(
                "copy (select stored.* from stored anti join wanted on stored.line = wanted.line and"
                f" stored.index is not distinct from wanted.index union all from again) to {literal(str(merged))}"
                " (format parquet, compression zstd)"
            )
            accepted = _count(connection, "select count(*) from again where status = 'accepted'")
            total = _count(connection, f"select count(*) from {parquet([merged])} where status = 'accepted'")
            rejected = _count(connection, f"select count(*) from {parquet([merged])} where status = 'rejected'")
            news = newly_accepted(connection, "again", "stored")
        if quieten is not None and not news.is_empty():
            quieten(QuietLines(manifest.source, manifest.landed_on, manifest.file, manifest.sha256, news))
        lake.commit(_manifest(manifest, judged, wanted, total, rejected), merged)
    finally:
        fresh.unlink(missing_ok=True)
        merged.unlink(missing_ok=True)
    return Replayed(manifest, "replayed", lines, accepted)


def _manifest(stored: Manifest, judged: Manifest, wanted: Wanted, accepted: int, rejected: int) -> Manifest:
    version = hashlib.sha256(f"{stored.data} {judged.judged_by} {wanted}".encode()).hexdigest()[:12]
    return replace(
        stored,
        lines=accepted + rejected + stored.blank,
        accepted=accepted,
        rejected=rejected,
        data=f"{file_stem(stored.file)}.{version}.parquet",
        judged_by=judged.judged_by,
        loaded_at=judged.loaded_at,
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0])
