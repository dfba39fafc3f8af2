"""Which events decision steps have seen, of the names that automations wait for: what is new is not among them.

A run tells of which names it has seen all events that there were, and keeps the keys of those it was the first to see, in
frames of a bounded size. As a run's frame takes in those that are no larger, there are few of them however many runs there
were, and a key is written again about as often as the number of keys can be halved.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import polars as pl
from sqlalchemy import Connection, delete, insert, select

from eventpipe.ops.tables import seen_event_frames, seen_events

MOST: Final = 250_000
"""Keys of one frame: some ten megabytes while it is unpacked."""

KEY: Final = "key"


@dataclass(frozen=True)
class SeenFrame:
    """Keys of events, packed: a Parquet file of one column, `key`."""

    events: int
    packed: bytes

    @classmethod
    def of(cls, keys: pl.DataFrame) -> Self:
        """Packs a frame of one column."""
        buffer = io.BytesIO()
        keys.write_parquet(buffer, compression="zstd")
        return cls(keys.height, buffer.getvalue())

    def keys(self) -> pl.DataFrame:
        """Unpacked again."""
        return pl.read_parquet(io.BytesIO(self.packed))


Seen = Mapping[str, Sequence[SeenFrame]]
"""What a run was the first to see, by event name; a name of which it saw nothing new has no frames."""


def decided_runs(connection: Connection) -> dict[str, set[str]]:
    """For each event name, as it was then, the runs that decided about all its events that there were."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(select(seen_events.c.event_name, seen_events.c.run_id)):
        found[row.event_name].add(row.run_id)
    return found


def frames(connection: Connection) -> Iterator[pl.DataFrame]:
    """The keys of all events that were seen, a frame at a time."""
    query = select(seen_event_frames.c.events, seen_event_frames.c.frame)
    for row in connection.execution_options(yield_per=1).execute(query):
        yield SeenFrame(row.events, row.frame).keys()


def record(connection: Connection, run_id: str, seen: Seen) -> None:
    """Writes what a run was the first to see, in the caller's transaction."""
    for event_name, found in seen.items():
        total = sum(each.events for each in found)
        connection.execute(insert(seen_events).values(run_id=run_id, event_name=event_name, events=total))
        kept = [_with_smaller(connection, event_name, found[0])] if len(found) == 1 else found
        for part, each in enumerate(kept):
            connection.execute(
                insert(seen_event_frames).values(
                    run_id=run_id, event_name=event_name, part=part, events=each.events, frame=each.packed
                )
            )


def _with_smaller(connection: Connection, event_name: str, new: SeenFrame) -> SeenFrame:
    """The frame with those of earlier runs that are no larger, which are taken out."""
    table = seen_event_frames.c
    sizes = connection.execute(
        select(table.run_id, table.part, table.events).where(table.event_name == event_name).order_by(table.events)
    ).all()
    taken, size = [], new.events
    for row in sizes:
        if row.events > size or size + row.events > MOST:
            break
        taken.append(row)
        size += row.events
    if not taken:
        return new
    keys = [new.keys()]
    for row in taken:
        its = (table.run_id == row.run_id, table.event_name == event_name, table.part == row.part)
        packed: bytes = connection.execute(select(table.frame).where(*its)).scalar_one()
        keys.append(SeenFrame(row.events, packed).keys())
        connection.execute(delete(seen_event_frames).where(*its))
    return SeenFrame.of(pl.concat(keys))
