"""CSV bytes to records in columns.

Lines are cut as for JSON lines, so that every record keeps its own bytes and its physical line number; a record that
holds line breaks inside quotes is put together again; fields are parsed by Arrow's CSV reader. A stray quote costs
its own line: lines are only joined where the joined text is one record with the right number of fields.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from eventpipe.intake.framing import (
    FRAME,
    LineCount,
    blank_lines,
    export_numbers,
    line_ends,
    long_lines,
    texts,
    whole_lines,
)
from eventpipe.intake.refusal import ExportRefused

_BLANKS = re.compile(rb"[ \t]+")
_EDGE_BLANKS = re.compile(rb"(?<![^\r\n])[ \t]+|[ \t]+(?![^\r\n])")
# A quote that nobody closes must not take the rest of the file into the header.
_HEADER_LINES = 20

# The module's own limit, 128 KiB, is below that of a line. There is one for the whole process.
csv.field_size_limit(1 << 30)

_NO_HEADER = "the first line is not a CSV record in UTF-8; export the file as CSV in UTF-8"


@dataclass(frozen=True)
class Dialect:
    """How a CSV export is written. `whitespace` splits on runs of blanks and knows no quotes."""

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    whitespace: bool = False


class DelimitedReader:
    """Frames of a CSV export: FRAME's columns, then one text column `f0, f1, ...` for each of `names`.

    `names` is known after `open`, or given for records without their header; the header line is not counted in `lines`.
    A record with another number of fields gets the fault `csv.columns`.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        dialect: Dialect,
        counted: LineCount,
        *,
        line_bytes: int,
        names: tuple[str, ...] = (),
    ) -> None:
        self._blocks = whole_lines(chunks, line_bytes)
        self._dialect = dialect
        self._counted = counted
        self._line_bytes = line_bytes
        self._physical = 0
        self._first = b""
        self.names = names

    def open(self) -> pa.Schema:
        """Read the first record; returns the schema of the frames. Errors: `ExportRefused` with `file.header`."""
        found = None
        for block in self._blocks:
            self._first += block
            found = self._first_record()
            if found is not None:
                break
        if found is None and self._first.strip():
            raise ExportRefused("file.header", _NO_HEADER)
        if found is not None:
            fields, blank, physical, length = found
            if self._dialect.header:
                self.names = tuple(name.strip() for name in fields)
                self._first = self._first[length:]
                self._physical = physical
                self._counted.lines += blank
                self._counted.blank += blank
            else:
                self.names = tuple(f"c{number}" for number in range(1, len(fields) + 1))
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            if twice or not all(self.names):
                raise ExportRefused(
                    "file.header", f"{self._broken_header(twice)}; correct the export, or set csv.header: false"
                )
        return self.schema

    def _broken_header(self, twice: list[str]) -> str:
        if self.names[0].lower().startswith("sep="):
            return "the first line is Excel's sep=, and no header"
        if twice:
            return f"the header names {', '.join(twice)} more than once"
        return "the header has a column without a name (pandas writes its index so: to_csv(..., index=False))"

    @property
    def schema(self) -> pa.Schema:
        """Of the frames, by `names`."""
        return pa.schema([*FRAME, *(pa.field(f"f{index}", pa.string()) for index in range(len(self.names)))])

    def frames(self) -> Iterator[pa.RecordBatch]:
        """The records, in file order."""
        pending = b""
        blocks = self._all_blocks()
        block = next(blocks, None)
        while block is not None:
            following = next(blocks, None)
            batch, pending = self._frame(pending + block, last=following is None)
            if batch is not None:
                yield batch
            block = following

    def _all_blocks(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        yield from self._blocks

    def _first_record(self) -> tuple[list[str], int, int, int] | None:
        """Fields of the first record that is not blank, the blank lines before it, and the lines and bytes up to its
        end; None where it has not ended yet."""
        ends = line_ends(self._first)
        start = 0
        for index, end in enumerate(ends):
            if not self._first[start:end].strip():
                start = int(end)
                continue
            # A header may hold a line break inside quotes.
            for last in range(index, min(index + _HEADER_LINES, len(ends))):
                fields = self._fields(self._first[start : ends[last]])
                if fields is not None:
                    return fields, index, last + 1, int(ends[last])
            if len(ends) - index >= _HEADER_LINES:
                raise ExportRefused("file.header", _NO_HEADER)
            return None
        return None

    def _fields(self, text: bytes) -> list[str] | None:
        """The fields when the text is exactly one record, else None."""
        if self._dialect.whitespace:
            return text.decode("utf-8", "replace").split()
        try:
            rows = list(
                csv.reader(
                    io.StringIO(text.decode("utf-8"), newline=""),
                    delimiter=self._dialect.delimiter,
                    quotechar=self._dialect.quote or None,
                    quoting=csv.QUOTE_MINIMAL if self._dialect.quote else csv.QUOTE_NONE,
                    strict=True,
                )
            )
        except (csv.Error, UnicodeDecodeError):
            return None
        return rows[0] if len(rows) == 1 else None

    def _frame(self, lines: bytes, *, last: bool) -> tuple[pa.RecordBatch | None, bytes]:
        """One block's records, and the bytes of a record that is still open at its end."""
        codes = np.frombuffer(lines, dtype=np.uint8)
        ends = line_ends(lines)
        starts = np.concatenate(([0], ends[:-1]))
        joined: dict[int, list[str]] = {}
        first_of_record = self._record_starts(lines, codes, starts, ends, joined, last=last)
        if first_of_record is None:
            return None, lines
        opened = int(first_of_record[-1]) if not last and first_of_record[-1] < 0 else 0
        if opened:
            first_of_record = first_of_record[:-1]
            keep_from = -opened
            pending = lines[starts[keep_from] :]
            lines, ends, starts = lines[: starts[keep_from]], ends[:keep_from], starts[:keep_from]
            codes = np.frombuffer(lines, dtype=np.uint8)
        else:
            pending = b""
        numbers = self._physical + 1 + first_of_record
        self._physical += len(ends)
        if len(first_of_record) == 0:
            return None, pending
        many_lines = (
            {index: joined[line] for index, line in enumerate(first_of_record.tolist()) if line in joined}
            if joined
            else {}
        )
        record_starts = starts[first_of_record]
        record_ends = np.append(record_starts[1:], len(lines))
        long = long_lines(lines, record_starts, record_ends, self._line_bytes)
        blank = blank_lines(lines, codes, record_starts, record_ends) & ~long
        self._counted.lines += len(record_starts)
        self._counted.blank += int(blank.sum())
        return self._parsed(lines, record_starts, record_ends, numbers, blank, long, many_lines), pending

    def _record_starts(
        self,
        lines: bytes,
        codes: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        joined: dict[int, list[str]],
        *,
        last: bool,
    ) -> NDArray[np.int64] | None:
        """Indexes of the lines that begin a record; `joined` receives the fields of records of several lines, by the
        index of their first.

        A trailing negative entry -k says that line k begins a record which the block does not close; None says that
        this is so from the first line on.
        """
        every = np.arange(len(starts), dtype=np.int64)
        if self._dialect.whitespace or not self._dialect.quote or self._dialect.quote.encode() not in lines:
            return every
        quotes = np.add.reduceat(codes == ord(self._dialect.quote), starts, dtype=np.int64)
        odd = np.flatnonzero(quotes % 2)
        inside = np.zeros(len(starts), dtype=bool)
        position = 0
        while position < len(odd):
            begin = int(odd[position])
            if position + 1 == len(odd):
                unfinished = len(lines) - starts[begin] <= self._line_bytes and not last
                if unfinished and self._may_open(lines[starts[begin] : ends[begin]]):
                    return None if begin == 0 else np.append(every[:begin][~inside[:begin]], -begin)
                break
            end = int(odd[position + 1])
            text = lines[starts[begin] : ends[end]]
            fields = self._fields(text) if len(text) <= self._line_bytes else None
            if fields is not None and len(fields) == len(self.names):
                inside[begin + 1 : end + 1] = True
                joined[begin] = fields
                position += 2
            else:
                position += 1
        return every[~inside]

    def _may_open(self, line: bytes) -> bool:
        """Whether the line, read alone, has too few fields: then it may go on in the next block."""
        fields = self._fields(line)
        return fields is None or len(fields) < len(self.names)

    def _parsed(
        self,
        lines: bytes,
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        numbers: NDArray[np.int64],
        blank: NDArray[np.bool_],
        long: NDArray[np.bool_],
        many_lines: dict[int, list[str]],
    ) -> pa.RecordBatch | None:
        """`many_lines`: the fields of records of several lines, by index. Without them each line is a record, so that
        a quote which nobody closes always shows in their number."""
        raw, fault = texts(lines, starts, ends, long, self._line_bytes)
        readable = ~blank & np.asarray(fault.is_null())
        parsed = np.full(len(starts), -1, dtype=np.int64)
        known = [index for index in many_lines if readable[index]]
        readable[known] = False
        table, wrong = self._columns(lines, starts[readable], ends[readable])
        at = np.flatnonzero(readable)
        wrong_at = at[wrong]
        parsed[np.delete(at, wrong)] = np.arange(table.num_rows)
        if known:
            parsed[known] = np.arange(table.num_rows, table.num_rows + len(known))
            table = pa.concat_tables([table, self._of_fields([many_lines[index] for index in known])])
        rows = pa.array(parsed, mask=parsed < 0)
        faults = fault.to_pylist() if len(wrong) else None
        if faults is not None:
            for index in wrong_at:
                faults[index] = "csv.columns"
            fault = pa.array(faults, pa.string())
        columns = [table.column(index).combine_chunks().take(rows) for index in range(len(self.names))]
        flags = pa.array(np.zeros(len(starts), dtype=bool))
        batch = pa.record_batch(
            [pa.array(numbers), raw, fault, flags, export_numbers(len(starts)), *columns],
            names=[*FRAME.names, *(f"f{index}" for index in range(len(self.names)))],
        )
        kept = batch.filter(pa.array(~blank))
        return kept if kept.num_rows else None

    def _columns(
        self, lines: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> tuple[pa.Table, NDArray[np.int64]]:
        """The fields of these records as text columns (empty is null), and the indexes of records with a wrong number
        of fields. Where a quote is opened and never closed, halves are tried until that record stands alone."""
        if len(starts) and ends[-1] - starts[0] == (ends - starts).sum():
            text = lines[starts[0] : ends[-1]]
        else:
            text = b"".join(lines[start:end] for start, end in zip(starts, ends, strict=True))
        found = self._parse(text, len(starts))
        if found is not None:
            return found
        if len(starts) == 1:
            return self._of_fields([]), np.zeros(1, np.int64)
        half = len(starts) // 2
        one, one_wrong = self._columns(lines, starts[:half], ends[:half])
        other, other_wrong = self._columns(lines, starts[half:], ends[half:])
        return pa.concat_tables([one, other]), np.concatenate((one_wrong, other_wrong + half))

    def _of_fields(self, records: list[list[str]]) -> pa.Table:
        schema = pa.schema([(f"f{index}", pa.string()) for index in range(len(self.names))])
        columns = ([record[index] or None for record in records] for index in range(len(self.names)))
        return pa.table([pa.array(column, pa.string()) for column in columns], schema=schema)

    def _parse(self, text: bytes, records: int) -> tuple[pa.Table, NDArray[np.int64]] | None:
        """The same for a text that should hold so many records, each on a line; None when it does not."""
        names = [f"f{index}" for index in range(len(self.names))]
        wrong: list[int] = []

        def skip(row: arrow_csv.InvalidRow) -> str:
            wrong.append(row.number - 1)
            return "skip"

        if self._dialect.whitespace:
            text = _BLANKS.sub(b"\t", _EDGE_BLANKS.sub(b"", text))
        if records == 0:
            return self._of_fields([]), np.empty(0, np.int64)
        delimiter = "\t" if self._dialect.whitespace else self._dialect.delimiter
        # One record more than there are: an open quote at the end takes it in, and shows by that.
        text += (b"" if text.endswith((b"\n", b"\r")) else b"\n") + b"x" + delimiter.encode() * (len(names) - 1) + b"\n"
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            read_options=arrow_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=len(text) + 1, encoding="utf8"
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char=False if self._dialect.whitespace else self._dialect.quote or False,
                newlines_in_values=True,
                ignore_empty_lines=True,
                invalid_row_handler=skip,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        if table.num_rows + len(wrong) != records + 1:
            return None
        return table.slice(0, table.num_rows - 1), np.asarray(wrong, dtype=np.int64)
