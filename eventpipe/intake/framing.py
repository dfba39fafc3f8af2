"""Bytes to numbered lines, in columns (CR, LF, CRLF, BOM, blank lines, line size, UTF-8).

A chunk is cut by numpy and handed on as Arrow buffers without a Python object per line; only a chunk that holds
bytes that are not UTF-8 is looked at line by line.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eventpipe.intake.refusal import ExportRefused
from eventpipe.intake.strict import suspects, true_at

LF, CR = 10, 13
_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_COMPRESSED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
_LONGEST_MARK = 4
_PORTION = 64 * 1024

# One row per non-blank line. `raw` may end with its line break. `fault` is a reason code or null; with
# `encoding.invalid` `raw` holds the line's bytes in base64: they are not UTF-8, or a NUL is among them. Of a line over
# the limit only the beginning is kept. `suspect` marks lines that may be no JSON though the engine reads them. `export`
# tells exports apart that are read together, from 1.
FRAME = pa.schema(
    [
        ("line", pa.int64()),
        ("raw", pa.string()),
        ("fault", pa.string()),
        ("suspect", pa.bool_()),
        ("export", pa.int64()),
    ]
)


@dataclass
class LineCount:
    """What framing saw, complete once the frames are exhausted."""

    lines: int = 0
    blank: int = 0


def frames(chunks: Iterable[bytes], counted: LineCount, *, line_bytes: int, depth: int) -> Iterator[pa.RecordBatch]:
    """Cut chunks of bytes into FRAME batches, numbering lines from 1."""
    for lines in whole_lines(chunks, line_bytes):
        batch = _frame(lines, counted, line_bytes, depth)
        if batch.num_rows:
            yield batch


def in_portions(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """FRAME batches cut into ones of little text: of lines that hold many events the engine keeps what all of a batch's
    grow to in memory at once."""
    for batch in batches:
        ends = np.cumsum(pc.binary_length(batch.column("raw")).to_numpy(zero_copy_only=False))
        places = np.flatnonzero(np.diff(ends // _PORTION, prepend=0)) + 1
        cuts = np.unique(np.concatenate(([0], places, [batch.num_rows]))).tolist()
        for start, end in pairwise(cuts):
            yield batch.slice(start, end - start)


def whole_lines(chunks: Iterable[bytes], line_bytes: int) -> Iterator[bytes]:
    """Regroup chunks so that each ends at a line's end. A line far over the limit is cut short, never collected."""
    tail = b""
    skipping = False
    for chunk in _without_bom(chunks):
        if skipping:
            end = _first_break(chunk)
            if end < 0:
                continue
            # The kept beginning of the long line gets its line break back, so that the count stays right.
            chunk, tail, skipping = tail + chunk[end:], b"", False
        # A CR at the very end may be half of a CRLF: it waits for the next chunk.
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, len(chunk) - 1)) + 1
        if cut:
            # Joined at once: a chunk is large, and each copy of it costs as much as to read it.
            yield b"".join((tail, memoryview(chunk)[:cut]))
            tail = chunk[cut:]
        else:
            tail += chunk
            # Now that more is known of what follows, a CR that waited may be a break.
            cut = tail.rfind(b"\r", 0, len(tail) - 1) + 1
            if cut:
                yield tail[:cut]
                tail = tail[cut:]
        if len(tail) > line_bytes + 2:
            # A CR at its end is the line's break, whatever the next chunk begins with.
            ended = b"\r" if tail.endswith(b"\r") else b""
            tail, skipping = tail[: line_bytes + 1] + ended, not ended
    if tail:
        yield tail


def _without_bom(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks without a byte order mark, which may be spread over several of them."""
    waiting = iter(chunks)
    head = b""
    for chunk in waiting:
        head += chunk
        if len(head) >= _LONGEST_MARK:
            break
    for kind, mark in _COMPRESSED.items():
        if head.startswith(mark):
            detail = f"its content is compressed ({kind}): let its name end in {kind}, and compress it once"
            raise ExportRefused("file.encoding", detail)
    if head.startswith(_OTHER_ENCODINGS) or b"\0" in head[:_LONGEST_MARK]:
        raise ExportRefused("file.encoding", "the file is UTF-16 or UTF-32; export it as UTF-8")
    yield head.removeprefix(_BOM)
    yield from waiting


def _first_break(chunk: bytes) -> int:
    found = [position for position in (chunk.find(b"\n"), chunk.find(b"\r")) if position >= 0]
    return min(found, default=-1)


def line_ends(lines: bytes) -> NDArray[np.int64]:
    """Positions just behind each line, its break included; a CRLF is one break."""
    codes = np.frombuffer(lines, dtype=np.uint8)
    if b"\r" in lines:
        lone_cr = codes == CR
        lone_cr[:-1] &= codes[1:] != LF
        breaks = true_at((codes == LF) | lone_cr)
    else:
        breaks = true_at(codes == LF)
    ends = breaks + 1
    if len(ends) == 0 or ends[-1] != len(lines):
        ends = np.append(ends, len(lines))
    return ends.astype(np.int64)


def _frame(lines: bytes, counted: LineCount, line_bytes: int, depth: int) -> pa.RecordBatch:
    ends = line_ends(lines)
    starts = np.concatenate(([0], ends[:-1]))
    numbers = np.arange(counted.lines + 1, counted.lines + 1 + len(ends), dtype=np.int64)
    codes = np.frombuffer(lines, dtype=np.uint8)
    long = long_lines(lines, starts, ends, line_bytes)
    blank = blank_lines(lines, codes, starts, ends) & ~long
    suspect = suspects(lines, starts, depth)

    raw, fault = texts(lines, starts, ends, long, line_bytes)
    batch = pa.record_batch([_numbers(numbers), raw, fault, _flags(suspect), export_numbers(len(ends))], schema=FRAME)
    counted.lines += len(ends)
    counted.blank += int(blank.sum())
    return batch.filter(_flags(~blank)) if blank.any() else batch


def export_numbers(count: int, number: int = 1) -> pa.Array:
    """The column `export` of so many rows."""
    return _numbers(np.full(count, number, dtype=np.int64))


def _numbers(values: NDArray[np.int64]) -> pa.Array:
    # By its buffer: pyarrow imports pandas to look at an array of numpy's, which costs a small run half a second.
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def _flags(values: NDArray[np.bool_]) -> pa.Array:
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def long_lines(lines: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], line_bytes: int) -> NDArray[np.bool_]:
    """Lines of more than `line_bytes` bytes, not counting their breaks."""
    long: NDArray[np.bool_] = (ends - starts) > line_bytes
    for index in np.flatnonzero(long):
        long[index] = len(lines[starts[index] : ends[index]].rstrip(b"\r\n")) > line_bytes
    return long


def blank_lines(
    lines: bytes, codes: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    blank: NDArray[np.bool_] = np.zeros(len(starts), dtype=bool)
    # Only a line that begins with white space can be blank.
    for index in np.flatnonzero(codes[starts] <= ord(" ")):
        blank[index] = not lines[starts[index] : ends[index]].strip()
    return blank


def texts(
    lines: bytes,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    long: NDArray[np.bool_],
    line_bytes: int,
) -> tuple[pa.Array, pa.Array]:
    """The lines as Arrow text, and the fault of each."""
    count = len(ends)
    if not _is_utf8(lines) or b"\0" in lines or long.any():
        return _texts_one_by_one(lines, starts, ends, long, line_bytes)
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    raw = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(lines))
    return raw, pa.nulls(count, pa.string())


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _texts_one_by_one(
    lines: bytes,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    long: NDArray[np.bool_],
    line_bytes: int,
) -> tuple[pa.Array, pa.Array]:
    raw: list[str] = []
    fault: list[str | None] = []
    for start, end, too_long in zip(starts, ends, long, strict=True):
        line = lines[start:end]
        if too_long:
            # Cut short on purpose, always at the same byte, perhaps inside a character.
            raw.append(line[: line_bytes + 1].decode("utf-8", "ignore").replace("\0", ""))
            fault.append("line.too_long")
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        # No database takes a NUL inside a text.
        unclean = "\0" in text
        raw.append(base64.b64encode(line.rstrip(b"\r\n")).decode("ascii") if unclean else text)
        fault.append("encoding.invalid" if unclean else None)
    return pa.array(raw, pa.string()), pa.array(fault, pa.string())
