"""Small exports of a source, judged in one query: to plan it takes longer than to judge them.

Only what is ordinary comes together. An export that is refused, that changes meanwhile, or that needs a second look is
left out, to be landed alone; that costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import duckdb
import pyarrow as pa

from eventpipe.intake.contract import LAKE_COLUMNS, Landing
from eventpipe.intake.exports import Export
from eventpipe.intake.formats import FRAMES, Reading
from eventpipe.intake.framing import FRAME, export_numbers
from eventpipe.intake.second_look import Tally, tallies
from eventpipe.intake.sent import Sent

# On disk; an export of this size takes about as long to judge as its query to plan.
SMALL_BYTES = 4 << 20
_MOST_EXPORTS = 64
_MOST_BYTES = 32 << 20
# In memory, of a portion's frames: a compressed export may be many times its size.
ROOM_BYTES = 64 << 20
_TABLE = "judged_together"


@dataclass(frozen=True)
class Small:
    """A small export, read to its end."""

    export: Export
    reading: Reading
    frames: pa.Table


def portions(exports: Iterable[Export]) -> Iterator[list[Export]]:
    """The exports in their order, small neighbours of one source together."""
    portion: list[Export] = []
    size = 0
    for export in exports:
        size += export.state.size
        joins = (
            portion
            and max(portion[0].state.size, export.state.size) <= SMALL_BYTES
            and export.key.source == portion[0].key.source
            and len(portion) < _MOST_EXPORTS
            and size <= _MOST_BYTES
        )
        if portion and not joins:
            yield portion
            portion, size = [], export.state.size
        portion.append(export)
    if portion:
        yield portion


def read_small(export: Export, reading: Reading, room: int) -> Small | None:
    """The export in memory; None where it takes more bytes than there is room for, or the engine reads its format by itself.
    Errors of its reader are passed on."""
    if reading.frames is None:
        return None
    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in reading.frames:
        size += batch.nbytes
        if size > room:
            return None
        batches.append(batch)
    reading.finish()
    return Small(export, reading, pa.Table.from_batches(batches, reading.frames.schema))


def alike(smalls: Sequence[Small]) -> Iterator[list[Small]]:
    """Those that one query reads: the same records, the same fields."""

    def query(small: Small) -> str:
        return f"{small.reading.records}\0{small.reading.sent!r}"

    for _, group in groupby(sorted(smalls, key=query), key=query):
        yield list(group)


def judge_together(
    connection: duckdb.DuckDBPyConnection,
    smalls: Sequence[Small],
    query: Callable[[str, Sent, Landing], str],
) -> Iterator[tuple[Small, Tally, str]]:
    """Judge exports that are alike. `query` gives the contract's for records, what is sent, and the landing. Yields each
    export with what its rows tell and the query of its rows in the lake."""
    number_at = FRAME.get_field_index("export")
    numbered = [
        small.frames.set_column(number_at, FRAME.field("export"), export_numbers(small.frames.num_rows, number))
        for number, small in enumerate(smalls, start=1)
    ]
    keys = [small.export.key for small in smalls]
    landing = Landing(keys[0].source, tuple((key.landed_on, key.file) for key in keys))
    reading = smalls[0].reading
    connection.register(FRAMES, pa.concat_tables(numbered).combine_chunks())
    connection.execute(f"create or replace temp table {_TABLE} as {query(reading.records, reading.sent, landing)}")
    columns = ", ".join(LAKE_COLUMNS)
    for number, (small, seen) in enumerate(zip(smalls, tallies(connection, _TABLE, len(smalls)), strict=True), start=1):
        yield small, seen, f"select {columns} from {_TABLE} where export = {number}"
    connection.execute(f"drop table {_TABLE}")
    connection.unregister(FRAMES)
