"""Spec 1, section 2: the bytes of an export as events, each with its place, and the lines that are none.

Left out: files refused whole, compression, Parquet, CSV of other dialects, long and deep lines.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eventpipe_tests.intake.reference.values import load

Record = Mapping[str, Any]
_BATCHES = {"redo": "events", "notifuse": "events", "arsel": "events", "canonical": "events", "customerio": "batch"}


@dataclass(frozen=True)
class Line:
    """A line from 1, the place in it from 0 where it holds several events; the event's record, or what is wrong."""

    line: int
    index: int | None
    record: Record | None
    fault: str = ""


def read(content: bytes, name: str, source: Mapping[str, Any]) -> Iterator[Line]:
    """All events of an export, and the lines that are none; blank lines are left out."""
    if name.endswith(".csv"):
        cells = csv.reader(io.StringIO(content.decode(), newline=""))
        header, line = next(cells), cells.line_num + 1
        for row in cells:
            # An empty cell says nothing: the record has no such field.
            yield Line(line, None, {name: cell for name, cell in zip(header, row, strict=True) if cell})
            line = cells.line_num + 1
    elif name.endswith(".json"):
        for line, record in enumerate(load(content.decode()), start=1):
            yield from _events(line, record, source)
    else:
        for line, piece in enumerate(re.split(rb"\r\n|\r|\n", content), start=1):
            if piece.strip():
                yield from _parsed(line, piece, source)


def _parsed(line: int, piece: bytes, source: Mapping[str, Any]) -> Iterator[Line]:
    try:
        yield from _events(line, load(piece.decode()), source)
    except UnicodeDecodeError:
        yield Line(line, None, None, "encoding.invalid")
    except ValueError:
        yield Line(line, None, None, "json.invalid")


def _events(line: int, record: Any, source: Mapping[str, Any]) -> Iterator[Line]:
    """The record, or the elements of its list of events: its other fields beside each, the element's own win."""
    batch = _BATCHES.get(source.get("preset", ""), "")
    if not isinstance(record, dict):
        yield Line(line, None, None, "json.invalid")
    elif "explode" in source and not isinstance(value_at(record, source["explode"]), list):
        yield Line(line, None, None, "explode.missing")
    elif "explode" in source or isinstance(record.get(batch), list):
        path = source.get("explode", batch)
        for index, element in enumerate(value_at(record, path)):
            if isinstance(element, dict):
                yield Line(line, index, {**without(record, path), **element})
            else:
                yield Line(line, index, None, "json.invalid")
    else:
        yield Line(line, None, record)


def value_at(record: Any, path: str) -> Any:
    """What stands at a dotted path; `...` where nothing does."""
    for name in path.split("."):
        record = record.get(name, ...) if isinstance(record, dict) else ...
    return record


def without(record: Record, path: str, *, used_up: bool = False) -> dict[str, Any]:
    """The record without what stands at a dotted path; with `used_up` without objects of which nothing is left either."""
    name, _, rest = path.partition(".")
    if not rest:
        return {key: each for key, each in record.items() if key != name}
    if not isinstance(record.get(name), dict):
        return {**record}
    inner = without(record[name], rest, used_up=used_up)
    return {key: inner if key == name else each for key, each in record.items() if key != name or inner or not used_up}
