"""The journal of segment memberships: what each run found to have changed. No rebuild can produce it again."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import Connection, func, insert, select, update

from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import automation_runs, segment_changes

COLUMNS = ("workspace_id", "contact_id", "change", "into_contact_id")
"""Of the frames. `change` is entered, left, moved (the contact, a member, goes on under `into_contact_id`), or renamed
(the same of a contact that had been a member)."""


@dataclass(frozen=True)
class SegmentChanges:
    """What one run changed in one segment. `frame` has COLUMNS, all text."""

    run_id: str
    segment: str
    as_of: datetime
    frame: pl.DataFrame


def record(connection: Connection, lease: Lease, changes: Iterable[SegmentChanges], now: datetime) -> None:
    """Writes them in the caller's transaction. Raises Fenced."""
    lease.check(connection)
    for each in changes:
        kinds = each.frame["change"]
        connection.execute(
            insert(segment_changes).values(
                run_id=each.run_id,
                segment=each.segment,
                as_of=each.as_of,
                recorded_at=now,
                entered=int((kinds == "entered").sum()),
                left=int((kinds == "left").sum()),
                contacts=_packed(each.frame),
            )
        )


def journal(store: OpsStore, until: datetime) -> Iterator[SegmentChanges]:
    """Everything recorded as of instants up to `until`, in the order in which it happened."""
    order = (
        segment_changes.c.as_of,
        segment_changes.c.recorded_at,
        segment_changes.c.run_id,
        segment_changes.c.segment,
    )
    query = select(segment_changes).where(segment_changes.c.as_of <= until).order_by(*order)
    with store.read() as connection:
        for row in connection.execution_options(yield_per=10).execute(query):
            yield SegmentChanges(row.run_id, row.segment, row.as_of, _unpacked(row.contacts))


def forget(connection: Connection, contact_ids: Collection[str]) -> int:
    """Takes contacts out of the journal, in the caller's transaction; how many entries there were."""
    ids, count = list(contact_ids), 0
    if not ids:
        return 0
    theirs = pl.col("contact_id").is_in(ids) | pl.col("into_contact_id").is_in(ids).fill_null(value=False)
    table = segment_changes.c
    for run_id, segment in connection.execute(select(table.run_id, table.segment)).all():
        its = (table.run_id == run_id, table.segment == segment)
        frame = _unpacked(connection.execute(select(table.contacts).where(*its)).scalar_one())
        kept = frame.filter(~theirs)
        if kept.height < frame.height:
            count += frame.height - kept.height
            connection.execute(update(segment_changes).where(*its).values(contacts=_packed(kept)))
    return count


def last_as_of(store: OpsStore) -> datetime | None:
    """The latest instant that something is recorded as of: memberships, or decisions that followed from them."""
    with store.read() as connection:
        changed: datetime | None = connection.execute(select(func.max(segment_changes.c.as_of))).scalar()
        decided: datetime | None = connection.execute(select(func.max(automation_runs.c.as_of))).scalar()
    return max((each for each in (changed, decided) if each is not None), default=None)


def _packed(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.select(COLUMNS).sort(COLUMNS).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _unpacked(content: bytes) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(content))
