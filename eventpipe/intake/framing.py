"""Bytes to numbered lines, in columns (spec 1, section 2: CR, LF, CRLF, BOM, blank lines, line size, UTF-8).

A chunk is cut by numpy and handed on as Arrow buffers without a Python object per line; only a chunk that holds
bytes that are not UTF-8 is looked at line by line.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eventpipe.intake.refusal import ExportRefused

LF, CR = 10, 13
_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

# One row per non-blank line. `raw` may end with its line break. `fault` is a reason code or null: then `raw` holds
# the line's bytes in base64 when it is not UTF-8. `deep` marks lines with enough brackets to exceed the depth limit.
FRAME = pa.schema([("line", pa.int64()), ("raw", pa.string()), ("fault", pa.string()), ("deep", pa.bool_())])


@dataclass
class LineCount:
    """What framing saw, complete once the frames are exhausted."""

    lines: int = 0
    blank: int = 0


def frames(
    chunks: Iterable[bytes], counted: LineCount, *, line_bytes: int, depth: int
) -> Iterator[pa.RecordBatch]:
    """Cut chunks of bytes into FRAME batches, numbering lines from 1."""
    for lines in whole_lines(chunks, line_bytes):
        batch = _frame(lines, counted, line_bytes, depth)
        if batch.num_rows:
            yield batch


def whole_lines(chunks: Iterable[bytes], line_bytes: int) -> Iterator[bytes]:
    """Regroup chunks so that each ends at a line's end. A line far over the limit is cut short, never collected."""
    tail = b""
    first = True
    skipping = False
    for chunk in chunks:
        if first:
            chunk = _without_bom(chunk)
            first = False
        if skipping:
            end = _first_break(chunk)
            if end < 0:
                continue
            # The kept beginning of the long line gets its line break back, so that the count stays right.
            chunk, tail, skipping = tail + chunk[end:], b"", False
        else:
            chunk = tail + chunk
        # A CR at the very end may be half of a CRLF: it waits for the next chunk.
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, len(chunk) - 1)) + 1
        tail = chunk[cut:]
        if cut:
            yield chunk[:cut]
        if len(tail) > line_bytes + 2:
            tail, skipping = tail[: line_bytes + 1], True
    if tail:
        yield tail


def _without_bom(chunk: bytes) -> bytes:
    if chunk.startswith(_OTHER_ENCODINGS) or b"\0" in chunk[:4]:
        raise ExportRefused("file.encoding", "the file is UTF-16 or UTF-32; export it as UTF-8")
    return chunk.removeprefix(_BOM)


def _first_break(chunk: bytes) -> int:
    found = [position for position in (chunk.find(b"\n"), chunk.find(b"\r")) if position >= 0]
    return min(found, default=-1)


def line_ends(lines: bytes) -> NDArray[np.int64]:
    """Positions just behind each line, its break included; a CRLF is one break."""
    codes = np.frombuffer(lines, dtype=np.uint8)
    if b"\r" in lines:
        lone_cr = codes == CR
        lone_cr[:-1] &= codes[1:] != LF
        breaks = np.flatnonzero((codes == LF) | lone_cr)
    else:
        breaks = np.flatnonzero(codes == LF)
    ends = breaks + 1
    if len(ends) == 0 or ends[-1] != len(lines):
        ends = np.append(ends, len(lines))
    return ends.astype(np.int64)


def _frame(lines: bytes, counted: LineCount, line_bytes: int, depth: int) -> pa.RecordBatch:
    ends = line_ends(lines)
    starts = np.concatenate(([0], ends[:-1]))
    numbers = np.arange(counted.lines + 1, counted.lines + 1 + len(ends), dtype=np.int64)
    codes = np.frombuffer(lines, dtype=np.uint8)
    blank = blank_lines(lines, codes, starts, ends)
    long = (ends - starts) > line_bytes + 2
    opening = (codes == ord("{")) | (codes == ord("["))
    deep = np.add.reduceat(opening, starts, dtype=np.int32) > depth

    raw, fault = texts(lines, starts, ends, long)
    batch = pa.record_batch([pa.array(numbers), raw, fault, pa.array(deep)], schema=FRAME)
    counted.lines += len(ends)
    counted.blank += int(blank.sum())
    return batch.filter(pa.array(~blank)) if blank.any() else batch


def blank_lines(
    lines: bytes, codes: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    blank: NDArray[np.bool_] = np.zeros(len(starts), dtype=bool)
    # Only a line that begins with white space can be blank.
    for index in np.flatnonzero(codes[starts] <= ord(" ")):
        blank[index] = not lines[starts[index] : ends[index]].strip()
    return blank


def texts(
    lines: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], long: NDArray[np.bool_]
) -> tuple[pa.Array, pa.Array]:
    """The lines as Arrow text, and the fault of each."""
    count = len(ends)
    try:
        lines.decode("utf-8")
    except UnicodeDecodeError:
        return _texts_one_by_one(lines, starts, ends, long)
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    raw = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(lines))
    if not long.any():
        return raw, pa.nulls(count, pa.string())
    return raw, pc.if_else(pa.array(long), "line.too_long", pa.scalar(None, pa.string()))


def _texts_one_by_one(
    lines: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], long: NDArray[np.bool_]
) -> tuple[pa.Array, pa.Array]:
    raw: list[str] = []
    fault: list[str | None] = []
    for start, end, too_long in zip(starts, ends, long, strict=True):
        line = lines[start:end]
        if too_long:
            # Cut short on purpose, perhaps inside a character.
            raw.append(line.decode("utf-8", "ignore"))
            fault.append("line.too_long")
            continue
        try:
            raw.append(line.decode("utf-8"))
            fault.append(None)
        except UnicodeDecodeError:
            raw.append(base64.b64encode(line.rstrip(b"\r\n")).decode("ascii"))
            fault.append("encoding.invalid")
    return pa.array(raw, pa.string()), pa.array(fault, pa.string())
