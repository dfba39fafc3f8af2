"""Carrying an ops store over to another place: a team that began with a file goes on in PostgreSQL."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Connection, Table, insert, select

from eventpipe.errors import UsageError
from eventpipe.ops import lease as leases
from eventpipe.ops import schema
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import metadata, run_lease

_BATCH = 5_000


def move(source: OpsStore, target: OpsStore, *, now: leases.Clock, wait: timedelta) -> int:
    """Carries every row over, while nobody writes or delivers, and closes the source: whoever opens it again is told where
    it went. How many rows there were.

    All or nothing: the source is closed by the transaction that ends with the target's. Errors: `LeaseHeld` when a run or
    a delivery did not end within `wait`, `UsageError` where the target holds something.
    """
    holder = f"move-{uuid4().hex[:12]}"
    with ExitStack() as held:
        taken = []
        for name in (leases.WRITER, leases.DELIVERY):
            lease = leases.acquire(source, holder, now=now, wait=wait, name=name)
            held.callback(lease.release)
            taken.append(lease)
        if leases.current(target).holder == holder:
            raise UsageError(
                f"{target.place} is the store that is to be moved, by another address. Nothing was changed."
            )
        with source.begin() as before, target.begin() as after:
            for lease in taken:
                lease.check(before)
            rows = 0
            for table in metadata.sorted_tables:
                if table is not run_lease:
                    _refuse_used(after, table, target.place)
                    rows += _carry(before, after, table)
            for lease in taken:
                lease.hand_over(before, after, target.place)
            schema.close(before)
    return rows


def _refuse_used(connection: Connection, table: Table, place: str) -> None:
    if connection.execute(select(table).limit(1)).first() is not None:
        raise UsageError(
            f"The ops store {place} is in use: it holds rows in {table.name}, and two memories cannot become one. Nothing was "
            "changed. Name a place that is empty, or empty this one if nobody needs what it remembers."
        )


def _carry(before: Connection, after: Connection, table: Table) -> int:
    rows = 0
    for batch in before.execute(select(table)).mappings().partitions(_BATCH):
        after.execute(insert(table), [dict(row) for row in batch])
        rows += len(batch)
    return rows
