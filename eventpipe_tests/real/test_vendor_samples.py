"""Mixpanel's and Amplitude's exports, without a preset: repeats, JSON in columns, names that are too long."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject

Table = list[dict[str, str]]


def table(path: Path) -> Table:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def mixpanel(real_data: Path) -> Table:
    return table(real_data / "vendor_samples" / "mixpanel_event.csv")


@pytest.fixture(scope="module")
def amplitude(real_data: Path) -> Table:
    return table(real_data / "vendor_samples" / "amplitude_event_data.csv")


def test_mixpanel_a_repeated_insert_id_is_one_event(many_shapes: RealProject, mixpanel: Table) -> None:
    first: dict[str, dict[str, str]] = {}
    for record in mixpanel:
        first.setdefault(record["insert_id"], record)
    found = many_shapes.rows("""
        select dedupe_key, event_name, strftime(timezone('UTC', occurred_at), '%Y-%m-%d %H:%M:%S'),
            customer_id, anonymous_id, properties::text
        from events where source = 'mixpanel' order by line
    """)
    assert [(*event[:5], json.loads(event[5])) for event in found] == [
        (
            key,
            record["name"],
            record["time"],
            json.loads(record["properties"])["user_id"],
            record["distinct_id"],
            json.loads(record["properties"]),
        )
        for key, record in first.items()
    ]
    versions = many_shapes.rows("""
        select status, count(*) from event_versions where source = 'mixpanel' group by all order by all
    """)
    assert versions == [("current", len(first)), ("superseded", len(mixpanel) - len(first))]
    assert (len(mixpanel), len(first)) == (5, 3)


def test_amplitude_a_name_over_100_bytes_costs_its_line(many_shapes: RealProject, amplitude: Table) -> None:
    long = [line for line, record in enumerate(amplitude, start=2) if len(record["event_type"]) > 100]
    found = many_shapes.rows("""
        select line, reasons, event_name, starts_with(raw, '600bfc44') from rejected_events
        where source = 'amplitude' order by line
    """)
    assert found == [(line, ["event_name.length"], amplitude[line - 2]["event_type"], True) for line in long]
    assert many_shapes.rows("select lines, accepted, rejected from ledger where source = 'amplitude'") == [
        (len(amplitude), len(amplitude) - len(long), len(long))
    ]


def test_amplitude_a_device_ties_the_addresses_that_used_it(many_shapes: RealProject, amplitude: Table) -> None:
    """As many as a contact may have: five."""
    kept = [record for record in amplitude if len(record["event_type"]) <= 100]
    expected = {
        device: sorted({record["user_id"] for record in kept if record["device_id"] == device})
        for device in {record["device_id"] for record in kept}
    }
    found = many_shapes.rows("""
        select any_value(identifier_value) filter (identifier_type = 'anonymous_id'),
            list_sort(list(identifier_value) filter (identifier_type = 'email'))
        from contact_identifiers where workspace_id = 'amplitude' group by contact_id
    """)
    assert dict(found) == expected
    assert max(len(addresses) for addresses in expected.values()) == 5
    traits = many_shapes.rows("select distinct traits::text from contacts where workspace_id = 'amplitude'")
    assert [json.loads(text) for (text,) in traits] == [{"Cohort": "Test A"}]
