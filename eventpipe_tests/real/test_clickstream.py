"""Sessions of shops: one event to a line, and records that hold all events of a session (`explode`)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from eventpipe_tests.real.real_project import RealProject


@pytest.fixture(scope="module")
def clicks(real_data: Path) -> pl.DataFrame:
    return pl.read_csv(real_data / "clickstream" / "ecom.csv.gz", infer_schema=False)


@pytest.fixture(scope="module")
def sessions(real_data: Path) -> list[dict[str, Any]]:
    with gzip.open(real_data / "clickstream" / "otto_sessions.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_click_is_an_event(many_shapes: RealProject, clicks: pl.DataFrame) -> None:
    found = many_shapes.rows("select lines, accepted, rejected, blank from ledger where source = 'ecom'")
    assert found == [(31_106, 31_106, 0, 0)] == [(len(clicks), len(clicks), 0, 0)]
    counts = many_shapes.rows("select event_name, count(*) from events where source = 'ecom' group by all")
    assert dict(counts) == dict(clicks["event"].value_counts().rows())


def test_a_visitor_is_one_contact_with_all_sessions(many_shapes: RealProject, clicks: pl.DataFrame) -> None:
    found = many_shapes.rows("""
        select c.customer_id, c.event_count, epoch(c.first_seen_at)::bigint, epoch(c.last_seen_at)::bigint,
            list_sort(list(i.identifier_value))
        from contacts as c join contact_identifiers as i using (workspace_id, contact_id)
        where workspace_id = 'ecom' and i.identifier_type = 'anonymous_id'
        group by all order by c.customer_id
    """)
    at = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone("Europe/Berlin")
    expected = clicks.group_by("user_id").agg(
        count=pl.len(),
        first=at.min().dt.epoch("s"),
        last=at.max().dt.epoch("s"),
        sessions=pl.col("session_id").unique().sort(),
    )
    assert found == expected.sort("user_id").rows()
    assert len(found) == 600


def test_each_element_of_a_list_is_an_event(many_shapes: RealProject, sessions: list[dict[str, Any]]) -> None:
    """The ledger counts the events. Each keeps its line and its place in it."""
    count = sum(len(session["events"]) for session in sessions)
    found = many_shapes.rows("select lines, accepted, rejected, blank from ledger where source = 'otto'")
    assert found == [(count, count, 0, 0)] == [(862, 862, 0, 0)]
    events = many_shapes.rows("""
        select line, index, anonymous_id, event_name, epoch_ms(occurred_at), properties::text
        from events where source = 'otto' order by line, index
    """)
    assert [(*event[:5], json.loads(event[5])) for event in events] == [
        (line, index, f"otto-{session['session']}", event["type"], event["ts"], {"aid": event["aid"]})
        for line, session in enumerate(sessions, start=1)
        for index, event in enumerate(session["events"])
    ]


def test_a_session_is_an_anonymous_contact(many_shapes: RealProject, sessions: list[dict[str, Any]]) -> None:
    found = many_shapes.rows("""
        select i.identifier_value, c.event_count, c.is_anonymous, epoch_ms(c.first_seen_at),
            epoch_ms(c.last_seen_at)
        from contacts as c join contact_identifiers as i using (workspace_id, contact_id)
        where workspace_id = 'otto' order by i.identifier_value
    """)
    assert found == sorted(
        (
            f"otto-{session['session']}",
            len(session["events"]),
            True,
            min(event["ts"] for event in session["events"]),
            max(event["ts"] for event in session["events"]),
        )
        for session in sessions
    )
