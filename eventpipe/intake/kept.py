"""Rejected lines as the lake keeps them, read again.

What a rejected row holds in `raw` is all that a definition can ask about, so judging it anew needs no export. Not here:
lines of which the lake has the beginning only or nothing, or bytes that are no text; no definition lets them in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eventpipe.intake import records
from eventpipe.intake.delimited import DelimitedReader, Dialect
from eventpipe.intake.document import Document
from eventpipe.intake.erased import ERASED
from eventpipe.intake.formats import FRAMES, dialect_of, format_of, json_records
from eventpipe.intake.framing import FRAME, LineCount
from eventpipe.intake.lake import Manifest, parquet
from eventpipe.intake.mapping import sent_from
from eventpipe.intake.sent import Sent
from eventpipe.project.settings import LimitSettings
from eventpipe.project.sources import SourceProfile

NOT_WHOLE = ("line.too_long", "encoding.invalid", ERASED)
"""Reasons of lines whose text the lake does not have."""

_ROWS = 10_000


def reopen(
    kept: Path,
    manifest: Manifest,
    profile: SourceProfile,
    limits: LimitSettings,
    connection: duckdb.DuckDBPyConnection,
    *,
    many: bool,
) -> tuple[str, Sent]:
    """The records in a Parquet file of rejected lines (line, index, raw), as a query that gives line, index, raw, doc,
    fault, j, each in the place that it had. With `many` a line may hold many events, a vendor's batch body.

    Errors: `ExportRefused` where the source's format is another one now.
    """
    path = Path(manifest.file)
    document = Document()
    sent = sent_from(profile, document, manifest.file, manifest.columns)
    lines = f"(select file_row_number as place, * exclude (file_row_number) from {parquet([kept], numbered=True)})"
    if format_of(path, profile)[0] == "csv":
        dialect = dialect_of(path, profile)
        schema = DelimitedReader((), dialect, LineCount(), line_bytes=0, names=manifest.columns).schema
        batches = _csv(kept, dialect, manifest.columns, limits.line_bytes)
        connection.register(FRAMES, pa.RecordBatchReader.from_batches(schema, batches))
        opened = records.from_columns(FRAMES, manifest.columns, document)
    else:
        # An element of a list stays that one element, whatever lists are in it.
        frame = "select place as line, raw, null::varchar as fault, true as suspect, 1::bigint as export from"
        whole = json_records(f"({frame} {lines} where index is null)", profile, limits, document, many=many)
        element = records.from_lines(f"({frame} {lines} where index is not null)", limits.depth, document, None)
        opened = f"{whole} union all {element}"
    return (
        "select kept.line, coalesce(kept.index, opened.index) as index, opened.* exclude (line, index)"
        f" from ({opened}) as opened inner join {lines} as kept on opened.line = kept.place",
        sent,
    )


def _csv(kept: Path, dialect: Dialect, names: tuple[str, ...], line_bytes: int) -> Iterator[pa.RecordBatch]:
    """Frames of CSV records, whose `line` is the record's place in the file.

    Lines are joined by their quotes. A record that might be joined with one that it has not stood beside is read alone.
    """
    place = 0
    for batch in pq.ParquetFile(kept).iter_batches(_ROWS, columns=["raw"]):
        raws = [raw.encode() for raw in batch.column(0).to_pylist()]
        alone = [_joins(raw, dialect) for raw in raws]
        together = [index for index, joins in enumerate(alone) if not joins]
        for group in (together, *([index] for index, joins in enumerate(alone) if joins)):
            text = b"".join(raws[index] + b"\n" for index in group)
            reader = DelimitedReader((text,), dialect, LineCount(), line_bytes=line_bytes, names=names)
            places = np.asarray(group, dtype=np.int64) + place
            for frames in _whole(reader, text) if len(group) == 1 else reader.frames():
                numbers = frames.column("line").to_numpy()
                yield frames.set_column(0, FRAME.field("line"), pa.array(places[numbers - 1]))
        place += len(raws)


def _whole(reader: DelimitedReader, raw: bytes) -> Iterator[pa.RecordBatch]:
    """A record that is read alone; what is several by another dialect is none."""
    found = pa.Table.from_batches(reader.frames(), schema=reader.schema)
    one = found.slice(0, 1)
    if found.num_rows > 1:
        for name, value in (("raw", raw.decode()), ("fault", "csv.columns")):
            one = one.set_column(one.schema.get_field_index(name), FRAME.field(name), pa.array([value]))
    yield from one.to_batches()


def _joins(raw: bytes, dialect: Dialect) -> bool:
    return b"\n" in raw or b"\r" in raw or (bool(dialect.quote) and raw.count(dialect.quote.encode()) % 2 == 1)
