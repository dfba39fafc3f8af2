"""Opening an export by its format: which frames it gives and how they become records."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from eventpipe.intake import digits, records, strict
from eventpipe.intake.delimited import DelimitedReader, Dialect
from eventpipe.intake.document import Document
from eventpipe.intake.exports import Export
from eventpipe.intake.framing import FRAME, LineCount, export_numbers, frames, in_portions
from eventpipe.intake.lake import exactly, parquet
from eventpipe.intake.mapping import sent_from
from eventpipe.intake.presets import BATCH_KEYS
from eventpipe.intake.refusal import ExportRefused
from eventpipe.intake.sent import Sent
from eventpipe.intake.stream import ENDINGS, Caps, Compression, ExportStream, read_whole
from eventpipe.project.mapping import fields_of
from eventpipe.project.settings import LimitSettings
from eventpipe.project.sources import SourceProfile
from eventpipe.sql import literal

# A JSON document is parsed in one piece; larger ones belong in JSON lines.
DOCUMENT_BYTES = 256 << 20
_WIDEST_DECIMAL = 38
_BY_ENDING = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
}


# What the records' SQL calls the rows of an export's frames.
FRAMES = "frames"


@dataclass
class Reading:
    """An export that is being read: its records as SQL, and what is known when they are exhausted. `frames` is what the SQL
    calls FRAMES, None where the engine reads the file by itself; `columns` are the names that its header or schema gives."""

    records: str
    sent: Sent
    stream: ExportStream
    counted: LineCount | None
    frames: pa.RecordBatchReader | None = None
    refusal: list[ExportRefused] = field(default_factory=list)
    read_alone: Callable[[], object] = lambda: None
    columns: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return self.stream.sha256

    @property
    def bytes(self) -> int:
        return self.stream.bytes

    def raise_refusal(self) -> None:
        """Raise what made the scan stop, if it was the reader."""
        if self.refusal:
            raise self.refusal[0]
        self.read_alone()

    def finish(self) -> None:
        """Read the file's rest into the digest where the engine read it by itself."""
        if not self.stream.sha256:
            for _ in self.stream:
                pass

    def blank(self, lines_with_rows: int) -> int:
        """Blank lines; a line whose list of events is empty counts as blank."""
        return self.counted.lines - lines_with_rows if self.counted else 0


@dataclass(frozen=True)
class _Opening:
    """What is asked of a format. `many`: a line may be a batch body."""

    export: Export
    profile: SourceProfile
    limits: LimitSettings
    connection: duckdb.DuckDBPyConnection
    compression: Compression | None
    many: bool

    @property
    def holds_many(self) -> bool:
        """Whether a line may hold many events."""
        return self.many or self.profile.explode is not None

    @property
    def stream(self) -> ExportStream:
        return ExportStream(self.export.path, self.compression, self.caps)

    @property
    def caps(self) -> Caps:
        return Caps(self.limits.expansion_ratio, self.limits.expanded_bytes)


def open_export(
    export: Export,
    profile: SourceProfile,
    limits: LimitSettings,
    connection: duckdb.DuckDBPyConnection,
    *,
    many: bool = False,
) -> Reading:
    """Begin to read. With `many` a line may hold many events, a vendor's batch body.

    Errors: `ExportRefused`, here or, through the returned object, while the records are scanned.
    """
    format_, compression = format_of(export.path, profile)
    opener: Callable[[_Opening], Reading] = {
        "jsonl": _lines,
        "json": _json,
        "csv": _csv,
        "parquet": _parquet,
    }[format_]
    return opener(_Opening(export, profile, limits, connection, compression, many))


def format_of(path: Path, profile: SourceProfile) -> tuple[str, Compression | None]:
    """An export's format and compression, by its settings and name. Errors: `ExportRefused` with `file.format`."""
    compression = ENDINGS.get(path.suffix.lower())
    ending = Path(path.stem).suffix.lower() if compression else path.suffix.lower()
    format_ = profile.format or _BY_ENDING.get(ending)
    if format_ is None:
        raise ExportRefused(
            "file.format",
            f"the ending {ending or '(none)'} names no format; name the file .jsonl, .json, .csv or .parquet "
            f"(.gz, .zst), or set sources.{profile.name}.format",
        )
    return format_, compression


def _guarded(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], refusal: list[ExportRefused]
) -> pa.RecordBatchReader:
    """A refusal inside the scan is kept: the engine only wraps its text."""

    def guarded() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except ExportRefused as refused:
            refusal.append(refused)
            raise

    return pa.RecordBatchReader.from_batches(schema, guarded())


def _of_json(opening: _Opening, lines: str = FRAMES, columns: Collection[str] = ()) -> tuple[str, Sent]:
    document = Document()
    sent = sent_from(opening.profile, document, opening.export.key.file, columns)
    return json_records(lines, opening.profile, opening.limits, document, many=opening.many), sent


def json_records(lines: str, profile: SourceProfile, limits: LimitSettings, document: Document, *, many: bool) -> str:
    """The records in FRAME rows of JSON, as SQL. `many`: a line may be a batch body."""
    batch = (BATCH_KEYS[profile.preset],) if profile.preset else None
    explode = tuple(profile.explode.split(".")) if profile.explode else None
    if many or explode:
        fields = {field.partition(".")[0] for entry in profile.map.values() for field in fields_of(entry)}
        return records.from_many(lines, limits, document, batch, explode, with_record=records.RECORD in fields)
    return records.from_lines(lines, limits.depth, document, batch)


def _lines(opening: _Opening) -> Reading:
    stream = opening.stream
    counted = LineCount()
    refusal: list[ExportRefused] = []
    batches = frames(stream, counted, line_bytes=opening.limits.line_bytes, depth=opening.limits.depth)
    query, sent = _of_json(opening)
    portions = in_portions(batches) if opening.holds_many else batches
    return Reading(query, sent, stream, counted, _guarded(FRAME, portions, refusal), refusal)


def _json(opening: _Opening) -> Reading:
    """One document: a list of events, a batch body or a single event. Many tools also write JSON lines as .json."""
    if _is_json_lines(opening.stream, opening.limits):
        return _lines(opening)
    whole, stream = read_whole(opening.export.path, opening.compression, opening.caps, DOCUMENT_BYTES)
    if not whole.strip():
        elements: list[str] = []
    else:
        elements = _elements(whole, opening.connection)
    counted = LineCount(lines=len(elements))
    table = pa.table(
        {
            "line": pa.array(range(1, len(elements) + 1), pa.int64()),
            "raw": pa.array(elements, pa.string()),
            "fault": pa.nulls(len(elements), pa.string()),
            "suspect": pa.array([True] * len(elements), pa.bool_()),
            "export": export_numbers(len(elements)),
        },
        schema=FRAME,
    )
    query, sent = _of_json(opening)
    if opening.holds_many:
        return Reading(query, sent, stream, counted, _guarded(FRAME, in_portions(table.to_batches()), []))
    return Reading(query, sent, stream, counted, table.to_reader())


def _is_json_lines(stream: ExportStream, limits: LimitSettings) -> bool:
    """Whether the first line is a JSON object by itself and more follows, as far as the first lines tell."""
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) > 2 * limits.line_bytes:
            break
    lines = head.removeprefix(b"\xef\xbb\xbf").strip().splitlines()
    if len(lines) < 2:
        return False
    # A broken first line with a whole one after it: lines, too. Where a document's second line is an object of its own,
    # its first has only opened something.
    return _is_object(lines[0]) or (_is_object(lines[1]) and not lines[0].rstrip().endswith((b"[", b"{", b",", b":")))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _elements(whole: bytes, connection: duckdb.DuckDBPyConnection) -> list[str]:
    if whole.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in whole[:4]:
        raise ExportRefused("file.encoding", "the file is UTF-16 or UTF-32; export it as UTF-8")
    try:
        text = whole.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ExportRefused("file.document", f"the document is not UTF-8 (byte {error.start})") from error
    kind = connection.execute(
        f"select case when json_valid($1) and not {strict.trailing_comma('$1')} then json_type($1) end", [text]
    ).fetchone()
    if kind is None or kind[0] not in ("ARRAY", "OBJECT"):
        raise ExportRefused("file.document", "the document is not valid JSON, or neither a list nor an object")
    if kind[0] == "OBJECT":
        return [text]
    listed = f"select from_json($1, '[\"JSON\"]') as elements, {digits.lost('$1')} as lost"
    opened = f"select unnest(elements) as element, lost from ({listed})"
    found = connection.execute(f"select {digits.restored('element', 'lost')} from ({opened})", [text]).fetchall()
    return ["null" if element is None else str(element) for (element,) in found]


def _csv(opening: _Opening) -> Reading:
    if opening.profile.explode is not None:
        raise ExportRefused(
            "file.format",
            f"the source explodes the list {opening.profile.explode} of each record, which CSV cannot hold: export it as JSON "
            "lines or Parquet, or give it a source of its own",
        )
    stream = opening.stream
    counted = LineCount()
    refusal: list[ExportRefused] = []
    dialect = dialect_of(opening.export.path, opening.profile)
    reader = DelimitedReader(stream, dialect, counted, line_bytes=opening.limits.line_bytes)
    schema = reader.open()
    document = Document()
    sent = sent_from(opening.profile, document, opening.export.key.file, reader.names)
    query = records.from_columns(FRAMES, reader.names, document)
    batches = _guarded(schema, reader.frames(), refusal)
    return Reading(query, sent, stream, counted, batches, refusal, columns=reader.names)


def dialect_of(path: Path, profile: SourceProfile) -> Dialect:
    """How a CSV export is written, by its settings and name."""
    options = profile.csv
    tabs = ".tsv" in path.suffixes[-2:] and "delimiter" not in options.model_fields_set
    return Dialect("\t" if tabs else options.delimiter, options.quote, options.header, options.whitespace)


def _parquet(opening: _Opening) -> Reading:
    if opening.compression is not None:
        raise ExportRefused("file.format", "a Parquet file compresses by itself; export it without .gz or .zst")
    table = parquet([opening.export.path], numbered=True)

    def asked(query: str) -> list[tuple[Any, ...]]:
        try:
            return opening.connection.execute(query).fetchall()
        except duckdb.Error as error:
            detail = f"the Parquet file cannot be read ({str(error).splitlines()[0][:120]})"
            raise ExportRefused("file.corrupt", detail) from error

    # The engine reads them as something else, and says nothing.
    schema = f"parquet_schema({literal(exactly(opening.export.path))})"
    wide = asked(f"select name, precision from {schema} where precision > {_WIDEST_DECIMAL} limit 1")
    for name, digits_of in wide:
        raise ExportRefused(
            "file.format",
            f"its column {name} holds decimals of {digits_of} digits, and at most {_WIDEST_DECIMAL} can be read; export it as "
            f"decimal({_WIDEST_DECIMAL}, ...) or as text",
        )
    [(count,)] = asked(f"select count(*) from {table}")
    types = {name: str(kind) for name, kind, *_ in asked(f"describe from {table}")}
    columns = list(types)
    raw = "json_merge_patch('{}', row_)"
    if any("DECIMAL" in kind for kind in types.values()):
        raw = digits.restored(raw, digits.lost("cast(row_ as varchar)"))
    lines = (
        "(select file_row_number + 1 as line, null::varchar as fault, true as suspect, 1::bigint as export,"
        f" cast({raw} as varchar) as raw from (select file_row_number,"
        f" to_json(struct_pack(*columns(* exclude (file_row_number)))) as row_ from {table}))"
    )
    query, sent = _of_json(opening, lines, columns)
    stream = opening.stream
    return Reading(
        query,
        sent,
        stream,
        LineCount(lines=int(count)),
        # A damaged page shows only in the engine's own scan: the same one, without what is made of it.
        read_alone=lambda: asked(f"select max(hash(t)) from {table} as t"),
        columns=tuple(columns),
    )
