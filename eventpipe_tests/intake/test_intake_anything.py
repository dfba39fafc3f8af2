"""Whatever lies in the exports folder is accounted for line by line or refused."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventpipe_tests.builders import event, export, lake_rows, land, ledger, project

SOURCES = {
    "redo": "redo",
    "notifuse": "notifuse",
    "customerio": "customerio",
    "arsel": "arsel",
    "canonical": "canonical",
    "mapped": {
        "explode": "items",
        "default_region": "GB",
        "map": {
            "event_name": "a",
            "customer_id": "b.c",
            "phone": "phone",
            "value": {"sql": "cast(v as decimal(18,4)) * 2"},
        },
    },
}
EVENTS = [
    {
        "name": "order.completed",
        "aliases": ["Order Completed", "a"],
        "properties": [
            {"name": "order_id", "type": "string", "required": True, "maps_to": "order_id"},
            {"name": "total", "type": "number", "maps_to": "value", "aliases": ["value"]},
            {"name": "when", "type": "date"},
            {"name": "list", "type": "array", "aliases": ["items"]},
            {"name": "flag", "type": "boolean"},
            {"name": "inner", "type": "object"},
        ],
        "goal": {"type": "purchase", "value": "total"},
        "dedupe_on": "order_id",
        "unknown_properties": "reject",
    }
]
KEYS = [
    *("a", "b", "c", "event", "event_name", "eventName", "name", "type", "action", "kind", "data", "$extra"),
    *("customer", "customer_id", "id", "email", "phone", "phoneNumber", "phone_number", "contact_id"),
    *("identifiers", "primary", "secondary", "userId", "anonymousId", "traits", "context", "attributes"),
    *("value", "goal_value", "goal_type", "currency", "valueCurrency", "occurred_at", "timestamp"),
    *("eventTimestamp", "deleted_at", "deletion", "workspace_id", "uniqueId", "external_id", "properties"),
    *("order_id", "total", "when", "list", "items", "flag", "inner", "events", "batch", "v"),
]
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True),
    st.text(max_size=8),
    st.sampled_from(
        [
            *(
                "order.completed",
                "Order Completed",
                "person",
                "identify",
                "event",
                "merge",
                "deleted",
                "purchase",
            ),
            *("a@b.co", "+41791234567", "2026-01-05T10:00:00Z", "1767607200", "EUR", "", " ", "null", "true"),
            *("NaN", "+5", ".5", "5.", "1e999", "{}", "[1]", '{"a":1,"a":2}'),
        ]
    ),
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)),
    max_leaves=12,
)
RECORD = st.dictionaries(st.sampled_from(KEYS), VALUE, min_size=1, max_size=12)
LINE = st.one_of(
    RECORD.map(lambda record: json.dumps(record).encode()),
    RECORD.map(lambda record: json.dumps(event(**record), ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=20),
    st.sampled_from(
        [
            b"",
            b" ",
            b"{}",
            b"{",
            b'"',
            b'{"a":1,"a":2}',
            b'{"properties":{"a":1,"a":[]}}',
            b'{"a":"\\u0000"}',
            b"\xff",
        ]
    ),
)
CONTENT = st.lists(LINE, max_size=8).flatmap(
    lambda lines: st.sampled_from([b"\n", b"\r\n", b"\r", b",", b",\n"]).map(lambda cut: cut.join(lines))
)
FILE = st.tuples(st.sampled_from(["jsonl", "json", "csv", "tsv", "jsonl.gz", "parquet"]), CONTENT)


FILES = st.lists(FILE, min_size=6, max_size=12)
SLOW = [HealthCheck.too_slow]


@settings(max_examples=2, suppress_health_check=SLOW)
@given(FILES)
def test_every_line_of_any_file_is_accepted_rejected_or_blank(files: list[tuple[str, bytes]]) -> None:
    assert_accounted(files)


@pytest.mark.soak
@settings(max_examples=300, suppress_health_check=SLOW)
@given(FILES)
def test_every_line_of_very_many_files_is_accepted_rejected_or_blank(files: list[tuple[str, bytes]]) -> None:
    assert_accounted(files)


def assert_accounted(files: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = project(Path(folder), sources=SOURCES, events=EVENTS)
        for number, (ending, content) in enumerate(files):
            written = gzip.compress(content) if ending.endswith("gz") else content
            source = list(SOURCES)[number % len(SOURCES)]
            export(made, written, source=source, name=f"{number}.{ending}")
        land(made)
        manifests = ledger(made)
        rows = lake_rows(made)
        assert len(manifests) == len(files)
        for manifest in manifests.values():
            assert manifest.lines == manifest.accepted + manifest.rejected + manifest.blank
            assert (manifest.status == "refused") == (manifest.reason is not None)
        counts = dict(rows.group_by("status").len().rows())
        assert counts.get("accepted", 0) == sum(each.accepted for each in manifests.values())
        assert counts.get("rejected", 0) == sum(each.rejected for each in manifests.values())
        assert not any(rows.filter(status="accepted")["event_id"].is_null())
        for row in rows.filter(status="accepted").iter_rows(named=True):
            for column in ("properties", "extra", "traits", "identifiers"):
                assert row[column] is None or json.loads(row[column]) is not None
