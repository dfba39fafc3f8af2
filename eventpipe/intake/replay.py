"""Replay: rejected lines judged by today's definitions.

Only the rejected lines that are asked for are judged again, from what the lake keeps of them: the export's file is not
needed, and the work is that of the lines. What an export's other lines became, and by which definitions, stays. A line
keeps its place (landed_on, file, line), so the tables are those of a project that had the right definition for that line
from the start. An export in which nothing changes is not touched: a second replay does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import duckdb

from eventpipe.engine import in_memory
from eventpipe.erasure.tombstones import Tombstones
from eventpipe.intake.contract import LAKE_COLUMNS
from eventpipe.intake.erased import Forgetting
from eventpipe.intake.judge import Judge, newly_accepted
from eventpipe.intake.kept import NOT_WHOLE
from eventpipe.intake.lake import Lake, Manifest, file_stem, parquet
from eventpipe.intake.refusal import ExportRefused
from eventpipe.ops.quiet import Quieten, QuietLines
from eventpipe.project.folder import Project
from eventpipe.sql import literal, literals


@dataclass(frozen=True)
class Wanted:
    """Which rejected lines to judge again: those with a reason (its code, or code and name), of an event (as sent or as
    defined), landed on a date or later. None takes all."""

    reason: str | None = None
    event: str | None = None
    since: date | None = None

    def condition(self) -> str:
        """Over the lake's columns; null is no."""
        parts = ["status = 'rejected'", f"not list_has_any(reasons, [{literals(NOT_WHOLE)}])"]
        if self.reason is not None:
            wanted = literal(self.reason)
            parts.append(f"len(list_filter(reasons, lambda r: r = {wanted} or split_part(r, ':', 1) = {wanted})) > 0")
        if self.event is not None:
            parts.append(f"(event_name = {literal(self.event)} or raw_event_name = {literal(self.event)})")
        return " and ".join(parts)


@dataclass(frozen=True)
class Replayed:
    """What became of the wanted lines of one export: how many were judged again, how many events were accepted, whether
    anything about them changed."""

    manifest: Manifest
    changed: bool
    lines: int
    accepted: int


def replay(
    project: Project,
    wanted: Wanted,
    now: datetime,
    on_export: Callable[[Replayed], None] = lambda _: None,
    *,
    tombstones: Tombstones,
    quieten: Quieten | None = None,
) -> list[Replayed]:
    """Judge the wanted lines again, export by export; each is committed by itself. `tombstones` are of who was erased;
    `quieten` is told first of the lines that are accepted now."""
    lake = Lake(project.lake)
    lake.sweep()
    judge = Judge(project, lake, now)
    forgetting = Forgetting(project, tombstones)
    results = []
    for manifest, rows, lines in _candidates(project, lake, wanted):
        done = _replayed(project, lake, judge, forgetting, wanted, manifest, rows, lines, quieten)
        on_export(done)
        results.append(done)
    return results


def _candidates(project: Project, lake: Lake, wanted: Wanted) -> Iterator[tuple[Manifest, Path, int]]:
    """Exports of today's sources with wanted lines: the manifest, the rows, how many lines."""
    with in_memory(project) as connection:
        for manifest in lake.manifests():
            rows = lake.data_path(manifest)
            if (
                not manifest.rejected
                or rows is None
                or manifest.source not in project.profiles
                or (wanted.since is not None and manifest.landed_on < wanted.since)
            ):
                continue
            lines = _count(connection, f"select count(*) from {parquet([rows])} where {wanted.condition()}")
            if lines:
                yield manifest, rows, lines


def _replayed(
    project: Project,
    lake: Lake,
    judge: Judge,
    forgetting: Forgetting,
    wanted: Wanted,
    manifest: Manifest,
    rows: Path,
    lines: int,
    quieten: Quieten | None,
) -> Replayed:
    stem, columns = file_stem(manifest.file), ", ".join(LAKE_COLUMNS)
    kept, merged = rows.with_name(f"{stem}.kept.parquet.tmp"), rows.with_name(f"{stem}.replay.parquet.tmp")
    stored = f"(select {columns} from {parquet([rows])})"
    others = f"(from {stored} where ({wanted.condition()}) is not true)"
    fresh: Path | None = None
    try:
        with in_memory(project) as connection:
            connection.execute(
                f"copy (select line, index, raw from {stored} where {wanted.condition()}) to {literal(str(kept))}"
                " (format parquet)"
            )
            try:
                judged, fresh = forgetting.applied(*judge.judged_again(manifest, kept, others))
            except ExportRefused:  # today's configuration reads no such file
                return Replayed(manifest, False, lines, 0)
            again = f"(select {columns} from {parquet([fresh])})"
            accepted = _count(connection, f"select count(*) from {again} where status = 'accepted'")
            news = f"select count(*) from (from {again} except from {stored})"
            if judged.blank == manifest.blank and not _count(connection, news):
                return Replayed(manifest, False, lines, accepted)
            connection.execute(
                f"copy (from {others} union all from {again}) to {literal(str(merged))} (format parquet, compression zstd)"
            )
            accepted_now = newly_accepted(connection, again, stored)
        if quieten is not None and not accepted_now.is_empty():
            quieten(QuietLines(manifest.source, manifest.landed_on, manifest.file, manifest.sha256, accepted_now))
        lake.commit(replace(judged, data=f"{stem}.{_version(manifest, judged, wanted)}.parquet"), merged)
    finally:
        for temporary in (kept, fresh, merged):
            if temporary is not None:
                temporary.unlink(missing_ok=True)
    return Replayed(manifest, True, lines, accepted)


def _version(stored: Manifest, judged: Manifest, wanted: Wanted) -> str:
    return hashlib.sha256(f"{stored.data} {judged.judged_by} {wanted}".encode()).hexdigest()[:12]


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0])
