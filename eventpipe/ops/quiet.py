"""Lines that a backfill or a replay takes in: their events are nobody's triggers.

A line is marked before the lake holds it, so that a run which finds it there finds the mark too, whoever was killed in
between. A mark is of one content of an export: lines that come with the next content are not meant.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import uuid4

import polars as pl
from sqlalchemy import Connection, insert, select, update

from eventpipe.ops.lease import Lease
from eventpipe.ops.tables import quiet_lines

LINES: Final = pl.Schema({"line": pl.Int64(), "index": pl.Int64()})
"""The columns of a frame of lines."""


@dataclass(frozen=True)
class QuietLines:
    """Lines of one content of an export, as a frame of LINES; None is all of it. `is_told`: a run has decided since."""

    source: str
    landed_on: date
    file: str
    sha256: str
    lines: pl.DataFrame | None
    is_told: bool = False


Quieten = Callable[[QuietLines], None]
"""Marks lines, durably, before it returns."""


def marker(lease: Lease, now: Callable[[], datetime]) -> Quieten:
    """Marks lines under a lease, each time in a transaction of its own. Raises Fenced."""

    def mark(quiet: QuietLines) -> None:
        with lease.begin() as connection:
            connection.execute(
                insert(quiet_lines).values(
                    mark_id=uuid4().hex,
                    source=quiet.source,
                    landed_on=quiet.landed_on,
                    file=quiet.file,
                    sha256=quiet.sha256,
                    lines=None if quiet.lines is None else _packed(quiet.lines),
                    recorded_at=now(),
                )
            )

    return mark


def marked(connection: Connection) -> list[QuietLines]:
    """All marks."""
    return [
        QuietLines(
            row.source,
            row.landed_on,
            row.file,
            row.sha256,
            None if row.lines is None else pl.read_parquet(io.BytesIO(row.lines)),
            row.decided_run is not None,
        )
        for row in connection.execute(select(quiet_lines))
    ]


def tell(connection: Connection, run_id: str) -> None:
    """Notes, in the caller's transaction, that this run decides, with all marks there are."""
    connection.execute(update(quiet_lines).where(quiet_lines.c.decided_run.is_(None)).values(decided_run=run_id))


def _packed(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.select(*LINES).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
