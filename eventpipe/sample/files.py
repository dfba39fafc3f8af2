"""Writes the files of one source and day, each whole or not at all, with no trace of the clock in them."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from eventpipe.sample import customerio

_BLANK_EVERY = 240
_BLANK_FIRST = 25


class DayFiles:
    """The files of one source and landing date, in memory until `write`. `day` counts from 0 and chooses the
    framing.
    """

    def __init__(self, folder: Path, day: int, lines_before: int) -> None:
        self._folder = folder
        self._day = day
        self._lines_before = lines_before
        self._lines: dict[str, list[bytes]] = {}
        self._batches: dict[str, list[bytes]] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.blank = 0

    @property
    def count(self) -> int:
        """How many files there will be."""
        return len(self._lines) + len(self._batches) + len(self._rows)

    def add_line(self, name: str, line: bytes) -> None:
        """A JSON line; now and then an empty line goes before it, never at either end of the file."""
        lines = self._lines.setdefault(name, [])
        if lines and (self._lines_before + len(lines)) % _BLANK_EVERY == _BLANK_FIRST:
            lines.append(b"")
            self.blank += 1
        lines.append(line)

    def add_element(self, name: str, capacity: int, element: bytes) -> bool:
        """An element of a batch body. False when the vendor takes no more in one body: it belongs in the
        lines then.
        """
        elements = self._batches.setdefault(name, [])
        if len(elements) == capacity:
            return False
        elements.append(element)
        return True

    def add_row(self, name: str, row: dict[str, Any]) -> None:
        """A row of a storage export."""
        self._rows.setdefault(name, []).append(row)

    def write(self) -> int:
        """Writes them all; returns how many JSON lines there were, blank ones included."""
        if self.count:
            self._folder.mkdir(parents=True, exist_ok=True)
        for name, lines in self._lines.items():
            _put(self._folder / name, _compressed(name, _framed(lines, self._day)))
        for name, elements in self._batches.items():
            head = b'{"workspace_id":"default","events":[\n' if name == "import.json" else b'{"events":[\n'
            _put(self._folder / name, head + b",\n".join(elements) + b"\n]}\n")
        for name, rows in self._rows.items():
            columns = customerio.COLUMNS[name.split(".")[-2]]
            _put(self._folder / name, _csv(columns, rows) if name.endswith(".csv") else _parquet(columns, rows))
        return sum(len(lines) for lines in self._lines.values())


def _framed(lines: list[bytes], day: int) -> bytes:
    """Lines as different clients end them: CRLF on every 7th day, no final newline on others, a byte order
    mark on a few.
    """
    newline = b"\r\n" if day % 7 == 3 else b"\n"
    content = newline.join(lines) + (b"" if day % 7 == 5 else newline)
    return b"\xef\xbb\xbf" + content if day % 11 == 4 else content


def _compressed(name: str, content: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(content, compresslevel=6, mtime=0)
    if name.endswith(".zst"):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        compressed: bytes = sink.getvalue().to_pybytes()
        return compressed
    return content


def _csv(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> bytes:
    # By way of CSV: a table made from Python lists imports pandas, which takes longer than all the rest.
    table = pa_csv.read_csv(
        pa.py_buffer(_csv(columns, rows)),
        read_options=pa_csv.ReadOptions(use_threads=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _put(path: Path, content: bytes) -> None:
    """Under a hidden name first: a half-written export must never look like one."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
