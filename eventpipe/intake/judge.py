"""Judging: the rows of an export by the project's configuration of today, written beside those that the lake holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import duckdb
import polars as pl
import pyarrow as pa

from eventpipe.engine import limits
from eventpipe.errors import EventpipeError
from eventpipe.intake import normalise
from eventpipe.intake.contract import LAKE_COLUMNS, Contract, Landing
from eventpipe.intake.exports import Export, ExportKey, changed
from eventpipe.intake.formats import FRAMES, Reading, open_export
from eventpipe.intake.kept import reopen
from eventpipe.intake.lake import Lake, Manifest, file_stem, parquet, reachable
from eventpipe.intake.refusal import UNREADABLE, ExportChanged, ExportRefused
from eventpipe.intake.rules import judged_by
from eventpipe.intake.second_look import BATCHES, FIRST_LOOK, SecondLook, Tally, look_again, tally
from eventpipe.intake.sent import Sent
from eventpipe.intake.stream import Caps, ExportStream
from eventpipe.intake.together import ROOM_BYTES, Small, alike, judge_together, read_small
from eventpipe.project.folder import Project
from eventpipe.sql import literal

# Zstandard's higher levels save next to nothing here, and only columns of few values are worth a dictionary.
_PARQUET = (
    "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000, row_group_size_bytes '64MB'"
)

Judged = TypeVar("Judged")


class Judge:
    """Judges exports by the configuration of today. What it writes is the lake's when somebody commits it."""

    def __init__(self, project: Project, lake: Lake, now: datetime) -> None:
        self._project = project
        self._lake = lake
        self._now = now
        self._judged_by = {name: judged_by(project, name) for name in project.profiles}
        self._database = self._connect()

    def judged(self, export: Export) -> tuple[Manifest, Path]:
        """The export judged anew: its manifest, and its rows under a temporary name in the lake, not committed.

        Errors: `ExportRefused`, `ExportChanged` while it is read, `EventpipeError`.
        """
        _refuse_by_name(export)
        rows = self._rows(export)
        connection = self._database.cursor()
        try:
            reading, seen = self._looked(
                connection, parquet([rows]), lambda look: self._judge(export, connection, rows, look)
            )
            if changed(export):
                raise ExportChanged(str(export.key))
        except (ExportRefused, ExportChanged):
            rows.unlink(missing_ok=True)
            raise
        except duckdb.Error as error:
            rows.unlink(missing_ok=True)
            raise _failed(export.key, error) from error
        finally:
            connection.close()
        return self._loaded(export, reading, seen), rows

    def judged_together(
        self, exports: Sequence[Export], look: SecondLook = FIRST_LOOK
    ) -> dict[ExportKey, tuple[Manifest, Path]]:
        """Of these exports of one source those that can be judged with others, as `judged` gives them. What comes between
        is no error here: an export that is left out is judged alone, and what is wrong with it is said then."""
        profile, limits = self._project.profiles[exports[0].key.source], self._project.settings.limits
        contract = Contract(profile, self._project.settings, self._project.registry)
        done: dict[ExportKey, tuple[Manifest, Path]] = {}
        batches: list[Export] = []
        connection = self._database.cursor()
        try:
            smalls: list[Small] = []
            room = ROOM_BYTES
            for export in exports:
                with suppress(ExportRefused, pa.ArrowException):
                    _refuse_by_name(export)
                    reading = open_export(export, profile, limits, connection, many=look.batches)
                    if (small := read_small(export, reading, room)) is not None:
                        smalls.append(small)
                        room -= small.frames.nbytes
            for group in alike(smalls):
                if len(group) == 1:
                    continue
                for small, seen, query in judge_together(
                    connection, group, lambda records, sent, landing: contract.judged(records, sent, landing, look)
                ):
                    again = look_again(connection, f"({query})", seen, look, limits, self._project.registry)
                    if again != look:
                        batches += [small.export] if again == BATCHES and look == FIRST_LOOK else []
                        continue
                    rows = self._rows(small.export)
                    connection.execute(f"copy ({query}) to {literal(str(rows))} ({_PARQUET})")
                    if not changed(small.export):
                        done[small.export.key] = self._loaded(small.export, small.reading, seen), rows
        except duckdb.Error:
            pass
        finally:
            connection.close()
        return done | self.judged_together(batches, BATCHES) if len(batches) > 1 else done

    def judged_again(self, manifest: Manifest, kept: Path, others: str) -> tuple[Manifest, Path]:
        """Rejected lines of a landed export judged anew, without its file: the manifest of the export with them, and their
        rows under a temporary name in the lake, not committed.

        `kept` is a Parquet file of the lines (line, index, raw), `others` the relation of the export's other rows. Errors:
        `ExportRefused` where the source is configured for another format now, `EventpipeError`.
        """
        rows = kept.with_name(f"{file_stem(manifest.file)}.parquet.tmp")
        profile, limits = self._project.profiles[manifest.source], self._project.settings.limits
        columns = ", ".join(LAKE_COLUMNS)
        whole = f"(select {columns} from {parquet([rows])} union all select {columns} from {others})"
        connection = self._database.cursor()

        def judge(look: SecondLook) -> None:
            records, sent = reopen(kept, manifest, profile, limits, connection, many=look.batches)
            self._write(connection, records, sent, manifest.key, look, rows)

        try:
            _, seen = self._looked(connection, whole, judge)
            blank = manifest.blank + _blank(connection, kept, rows)
        except duckdb.Error as error:
            rows.unlink(missing_ok=True)
            raise _failed(manifest.key, error) from error
        finally:
            connection.close()
        again = replace(
            manifest,
            lines=seen.accepted + seen.rejected + blank,
            accepted=seen.accepted,
            rejected=seen.rejected,
            blank=blank,
            judged_by=self._judged_by[manifest.source],
            loaded_at=self._now.isoformat(),
        )
        return again, rows

    def refused(self, export: Export, refusal: ExportRefused) -> Manifest:
        """The manifest of an export that was refused whole."""
        digest, size = "", export.state.size
        if refusal.reason != UNREADABLE and not export.link and export.path.is_file():
            stream = ExportStream(export.path, None, Caps())
            for _ in stream:
                pass
            digest, size = stream.sha256, stream.bytes
        return Manifest(
            source=export.key.source,
            landed_on=export.key.landed_on,
            file=export.key.file,
            sha256=digest,
            bytes=size,
            status="refused",
            reason=refusal.reason,
            detail=refusal.detail,
            lines=0,
            accepted=0,
            rejected=0,
            blank=0,
            data=None,
            judged_by=self._judged_by[export.key.source],
            state=export.state,
            loaded_at=self._now.isoformat(),
        )

    def _rows(self, export: Export) -> Path:
        """Where an export's rows are written before they are committed."""
        return self._lake.folder(export.key) / f"{file_stem(export.key.file)}.parquet.tmp"

    def _loaded(self, export: Export, reading: Reading, seen: Tally) -> Manifest:
        blank = reading.blank(seen.lines)
        return Manifest(
            source=export.key.source,
            landed_on=export.key.landed_on,
            file=export.key.file,
            sha256=reading.sha256,
            bytes=reading.bytes,
            status="loaded",
            reason=None,
            detail=None,
            lines=seen.accepted + seen.rejected + blank,
            accepted=seen.accepted,
            rejected=seen.rejected,
            blank=blank,
            data=f"{file_stem(export.key.file)}.{self._version(export.key, reading)}.parquet",
            judged_by=self._judged_by[export.key.source],
            state=export.state,
            loaded_at=self._now.isoformat(),
            columns=reading.columns,
        )

    def _looked(
        self, connection: duckdb.DuckDBPyConnection, table: str, judge: Callable[[SecondLook], Judged]
    ) -> tuple[Judged, Tally]:
        """Judge, and once more by what shows in the finished rows, the relation `table`, as long as there is anything."""
        look, again = None, FIRST_LOOK
        while again != look:
            look = again
            judged = judge(look)
            seen = tally(connection, table)
            again = look_again(connection, table, seen, look, self._project.settings.limits, self._project.registry)
        return judged, seen

    def _judge(self, export: Export, connection: duckdb.DuckDBPyConnection, rows: Path, look: SecondLook) -> Reading:
        """Write the judged rows of the whole export."""
        limits, profile = self._project.settings.limits, self._project.profiles[export.key.source]
        reading = open_export(export, profile, limits, connection, many=look.batches)
        if reading.frames is not None:
            connection.register(FRAMES, reading.frames)
        try:
            self._write(connection, reading.records, reading.sent, export.key, look, rows)
        except duckdb.Error:
            # What the reader raised inside the scan is the reason; the engine's message only wraps it.
            reading.raise_refusal()
            raise
        reading.finish()
        return reading

    def _write(
        self,
        connection: duckdb.DuckDBPyConnection,
        records: str,
        sent: Sent,
        key: ExportKey,
        look: SecondLook,
        rows: Path,
    ) -> None:
        contract = Contract(self._project.profiles[key.source], self._project.settings, self._project.registry)
        query = contract.judged(records, sent, Landing(key.source, ((key.landed_on, key.file),)), look)
        connection.execute(f"copy (select * exclude (export) from ({query})) to {literal(str(rows))} ({_PARQUET})")

    def _version(self, key: ExportKey, reading: Reading) -> str:
        return hashlib.sha256(f"{reading.sha256} {self._judged_by[key.source]}".encode()).hexdigest()[:12]

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """An engine of its own in memory, which reaches the exports and the lake and nothing else."""
        state = self._project.state
        state.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(config=limits(self._project.settings.engine, state / "intake.tmp"))
        normalise.register(connection)
        folders = (self._project.exports, self._project.lake, state)
        for setting in (
            "TimeZone = 'UTC'",
            "preserve_insertion_order = false",
            f"allowed_directories = {reachable(folders)}",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"set {setting}")
        return connection


def newly_accepted(connection: duckdb.DuckDBPyConnection, fresh: str, stored: str) -> pl.DataFrame:
    """Lines that a relation has as accepted and another one has not, as line and index (null but in lists)."""
    return connection.execute(
        f"select line, index from {fresh} where status = 'accepted'"
        f" except select line, index from {stored} where status = 'accepted'"
    ).pl()


def _blank(connection: duckdb.DuckDBPyConnection, kept: Path, rows: Path) -> int:
    """Of the lines that were judged again those that hold no event: a list of events that is empty."""
    found = connection.execute(
        f"select count(distinct line) from (from {parquet([kept])}) as asked anti join {parquet([rows])} as found using (line)"
    ).fetchone()
    assert found is not None
    return int(found[0])


def _failed(key: ExportKey, error: duckdb.Error) -> EventpipeError:
    return EventpipeError(
        f"Landing {key} failed in the engine: {str(error).splitlines()[0][:300]} "
        "What landed before it stays; correct the cause and run again."
    )


def _refuse_by_name(export: Export) -> None:
    if export.link:
        raise ExportRefused(
            "file.symlink", "it leads out of the exports folder or is no regular file; copy the file instead"
        )
    if export.path.name.encode("utf-8", "replace") != os.fsencode(export.path.name):
        raise ExportRefused("file.unreadable", "its name is not UTF-8; rename the file")
