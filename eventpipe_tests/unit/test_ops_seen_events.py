"""Which events decisions have seen: few frames of a bounded size, none of which is lost, nor when the store is migrated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import polars as pl
import pytest
from alembic import command
from sqlalchemy import Connection, func, select, text

from eventpipe.ops import schema, seen_events
from eventpipe.ops.seen_events import SeenFrame
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import seen_event_frames
from eventpipe_tests.delivery.fired import empty_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpsStore]:
    with OpsStore.open(empty_store(tmp_path / "ops.db")) as opened:
        yield opened


def frame(*keys: str) -> SeenFrame:
    return SeenFrame.of(pl.DataFrame({"key": keys}, {"key": pl.String}))


def seen(connection: Connection) -> list[str]:
    return sorted(key for each in seen_events.frames(connection) for key in each["key"])


def test_a_name_of_which_nothing_is_new_is_decided_about_too(store: OpsStore) -> None:
    with store.begin() as connection:
        seen_events.record(connection, "r1", {"order": [frame("a")], "view": []})
        seen_events.record(connection, "r2", {"order": []})
        assert seen_events.decided_runs(connection) == {
            "order": {"r1", "r2"},
            "view": {"r1"},
        }
        assert seen(connection) == ["a"]


def test_many_runs_leave_few_frames_and_none_is_too_large(store: OpsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_events, "MOST", 64)
    random, everything = Random(5), []
    with store.begin() as connection:
        for run in range(200):
            keys = [f"{run}-{number}" for number in range(random.choice([0, 1, 1, 2, 5]))]
            everything += keys
            seen_events.record(connection, f"r{run}", {"order": [frame(*keys)] if keys else []})
            seen_events.record(connection, f"r{run}", {"view": [frame(f"view {run}")]})
        query = select(seen_event_frames.c.events).where(seen_event_frames.c.event_name == "order")
        sizes: list[int] = list(connection.execute(query).scalars())
        assert max(sizes) <= 64
        assert len(sizes) <= 2 * len(everything) / 64 + 7
        assert sum(sizes) == len(everything)
        assert seen(connection) == sorted([*everything, *(f"view {run}" for run in range(200))])


def test_what_an_older_version_saw_stays_seen(store: OpsStore) -> None:
    config = schema._config()
    with store.begin() as connection:
        seen_events.record(connection, "r1", {"order": [frame("a", "b"), frame("c")]})
        config.attributes.update(connection=connection, schema=None)
        command.downgrade(config, "0005")
        assert connection.execute(text("select sum(events) from seen_events")).scalar() == 3
        command.upgrade(config, "head")
        assert seen(connection) == ["a", "b", "c"]
        assert connection.execute(select(func.count()).select_from(seen_event_frames)).scalar() == 2
        assert schema.is_current(connection, store.place)
