"""What several of these tests arrange: orders and their definition, files of other formats, refused files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from eventpipe.project.folder import Project
from eventpipe_tests.builders import event, export, judged, lake_rows, land, ledger, lines

CONTENT = lines(event(), event(customer_id="c2"))


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as compressed:
        compressed.write(content)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def parquet_bytes(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def called(value: object) -> str:
    """The name of a case: compressed bytes are not the same in every process."""
    return value if isinstance(value, str) else "content"


def refusal(made: Project, content: bytes, name: str) -> str | None:
    export(made, content, name=name)
    outcome = land(made)[name]
    manifest = ledger(made)[name]
    assert outcome.outcome == manifest.status == "refused"
    assert (manifest.lines, manifest.accepted, manifest.rejected, manifest.data) == (0, 0, 0, None)
    assert manifest.detail
    assert lake_rows(made).is_empty()
    return manifest.reason


AT = "2026-01-05T10:00:00+00:00"


def seen(row: dict[str, Any], *columns: str) -> dict[str, Any]:
    """The columns of a row that are not null."""
    return {name: row[name] for name in columns if row[name] is not None}


ORDER: dict[str, Any] = {
    "name": "order.completed",
    "aliases": ["Order Completed", "order_completed"],
    "properties": [
        {"name": "order_id", "type": "string", "required": True, "maps_to": "order_id"},
        {
            "name": "total",
            "type": "number",
            "required": True,
            "maps_to": "value",
            "aliases": ["amount", "cart_value"],
        },
        {"name": "currency", "type": "string", "maps_to": "currency"},
        {"name": "items", "type": "array", "required": True},
        {"name": "placed_on", "type": "date"},
        {"name": "gift", "type": "boolean"},
        {"name": "address", "type": "object"},
    ],
    "goal": {"type": "purchase", "value": "total", "name": "shop"},
    "dedupe_on": "order_id",
}
WHOLE: dict[str, Any] = {"order_id": "o1", "total": 12.5, "items": ["a"]}


def order(**properties: object) -> dict[str, object]:
    """An order that nothing is wrong with; a property given as `...` is left out."""
    kept = {name: value for name, value in (WHOLE | properties).items() if value is not ...}
    return event(event_name="order.completed", properties=kept)


def orders(folder: Path, *records: object, definition: Mapping[str, object] = {}, **source: object) -> pl.DataFrame:
    return judged(
        folder, *records, sources={"web": {"preset": "canonical", **source}}, events=[{**ORDER, **definition}]
    )
