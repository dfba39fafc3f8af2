"""From a landing to what is written: the vendor's body, and the file of the day that it belongs in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from eventpipe.sample import arsel, customerio, notifuse, redo
from eventpipe.sample.mistakes import Mistake
from eventpipe.sample.properties import bits
from eventpipe.sample.report import Report

_BODIES: Mapping[str, Callable[[Report], dict[str, Any]]] = {
    "redo": redo.body,
    "notifuse": notifuse.body,
    "customerio": customerio.body,
    "arsel": arsel.body,
}
_LINES = {
    "redo": "events.jsonl",
    "notifuse": "upserts.jsonl.gz",
    "customerio": "track.jsonl",
    "arsel": "sends.jsonl.zst",
}
_BATCHES = {"redo": ("bulk.json", 100), "notifuse": ("import.json", 50)}
"""The vendors' own limits for the events of one body."""

_as_utf8 = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_as_ascii = json.JSONEncoder(separators=(",", ":")).encode


def line_file(source: str) -> str:
    """The name of the source's file of JSON lines."""
    return _LINES[source]


def batch_file(report: Report, mistake: Mistake | None) -> tuple[str, int] | None:
    """Name and capacity of the batch body that the report may go into; None where it goes into the lines.

    What is wrong as a line stays out: in a batch body it would spoil the whole file.
    """
    if report.source not in _BATCHES or (mistake is not None and mistake.spoil_line is not None):
        return None
    return _BATCHES[report.source] if bits(report, 46, 2) == 0 else None


def export_file(report: Report, day: int) -> str | None:
    """The storage export of that day (from 0) for a row; None for what is no row. Odd numbers are CSV, even
    ones Parquet.
    """
    if report.form != "pipelines":
        return None
    number = day + 1
    return f"shop.production.{number}.{customerio.action(report)}.{'csv' if number % 2 else 'parquet'}"


def body(report: Report, mistake: Mistake | None = None) -> dict[str, Any]:
    """The vendor's body, with the mistake in it if there is one that shows in the body."""
    if mistake is None:
        return _BODIES[report.source](report)
    spoilt = mistake.spoil_report(report)
    made = _BODIES[report.source](spoilt)
    mistake.spoil_body(spoilt, made)
    return made


def line(report: Report, made: dict[str, Any], mistake: Mistake | None = None) -> bytes:
    """A body as one line of UTF-8, as far as the mistake lets it be; Customer.io's clients escape what is not
    ASCII.
    """
    text = (_as_ascii if report.source == "customerio" else _as_utf8)(made)
    return text.encode() if mistake is None or mistake.spoil_line is None else mistake.spoil_line(text)
