"""Automations through the real pipeline: one person on two devices, kills at every point of the decision, rebuilds, and the
same exports in other cuts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.failpoints import VARIABLE, FailPointReached
from eventpipe.ops import automations as ops
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import load_project
from eventpipe_tests import builders
from eventpipe_tests.pipeline import processes
from eventpipe_tests.pipeline.shop import Shop

AUTOMATIONS = [
    {
        "name": "cart",
        "trigger": {"event": "checkout.started", "where": {"value": {"gte": 50}}},
        "wait": "1h",
        "unless": {"event": "order.completed"},
        "frequency": {"every": "7d"},
        "payload": ["email", "value", "items"],
    },
    {"name": "buyer", "trigger": {"segment_entered": "buyers"}, "frequency": "once", "payload": ["email", "segment"]},
]
SEGMENTS = [{"name": "buyers", "where": {"event": "order.completed"}}]
PHONE = {"anonymous_id": "phone-1", "customer_id": None}
MORNING, NOON, EVENING = (datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in (9, 12, 13))


def checkout(hour: str, **fields: object) -> dict[str, object]:
    fields = {"value": 70, "properties": {"items": ["a", 1]}} | fields
    return builders.event(event_name="checkout.started", occurred_at=f"2026-01-05T{hour}Z", **fields)


def order(hour: str, **fields: object) -> dict[str, object]:
    return builders.event(event_name="order.completed", occurred_at=f"2026-01-05T{hour}Z", value=70, **fields)


BEFORE = [checkout("08:00:00", customer_id="past"), order("08:10:00", customer_id="past")]
FIRST = [
    checkout("11:30:00", **PHONE),
    checkout("11:31:00", customer_id="waits", email="w@x.example"),
    checkout("11:32:00", customer_id="cheap", value=10),
]
# The phone is known by now, and the order was made elsewhere.
SECOND = [
    builders.event(
        event_name="app.opened", occurred_at="2026-01-05T12:01:00Z", anonymous_id="phone-1", customer_id="ada"
    ),
    order("12:10:00", customer_id="ada", email="ada@x.example"),
]


def shop(folder: Path) -> Shop:
    return Shop(builders.project(folder, segments=SEGMENTS, automations=AUTOMATIONS))


def published(made: Shop) -> dict[str, list[dict[str, Any]]]:
    with duckdb.connect(str(made.project.analytics), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {
            name: connection.execute(query).pl().to_dicts()
            for name, query in {
                "decisions": """
                    select automation, customer_id, status, reason, occurred_at, decided_at
                    from trigger_decisions left join contacts using (contact_id) order by automation, occurred_at""",
                "triggers": """
                    select automation, customer_id, fired_at, payload, trigger_id
                    from automation_triggers join contacts using (contact_id) order by automation, trigger_id""",
                "timeline": """
                    select customer_id, properties from contact_timeline join contacts using (contact_id)
                    where entry_type = 'automation.triggered' order by properties""",
            }.items()
        }


def outcomes(made: Shop) -> list[tuple[Any, ...]]:
    return [
        (row["automation"], row["customer_id"], row["status"], row["reason"]) for row in published(made)["decisions"]
    ]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The whole story, in one file a run."""
    made = shop(tmp_path_factory.mktemp("story"))
    for as_of, name, events in ((MORNING, "a", BEFORE), (NOON, "b", FIRST), (EVENING, "c", SECOND)):
        made.put("web", "2026-01-05", f"{name}.jsonl", builders.lines(*events))
        made.run(as_of)
    return made


def test_the_checkout_on_the_phone_is_exited_by_the_order_on_the_desktop(told: Shop) -> None:
    assert outcomes(told) == [
        ("buyer", "ada", "fired", None),
        ("cart", "ada", "skipped", "exited"),
        ("cart", "waits", "fired", None),
    ]


def test_a_trigger_is_published_with_its_payload_and_shown_on_the_timeline(told: Shop) -> None:
    tables = published(told)
    buyer, cart = tables["triggers"]
    assert json.loads(cart["payload"]) == {"email": "w@x.example", "value": 70, "items": ["a", 1]}
    assert json.loads(buyer["payload"]) == {"email": "ada@x.example", "segment": "buyers"}
    assert cart["fired_at"] == EVENING
    assert sorted(json.loads(row["properties"])["trigger_id"] for row in tables["timeline"]) == sorted(
        (buyer["trigger_id"], cart["trigger_id"])
    )


def test_neither_a_rebuild_nor_a_lost_warehouse_fires_again(told: Shop) -> None:
    before = published(told)
    told.project.warehouse.unlink()
    told.run(EVENING)
    assert published(told) == before


def test_a_run_that_is_killed_around_the_decision_decides_once(told: Shop, tmp_path: Path) -> None:
    """Also where the next run has to rebuild: what it finds is what the uninterrupted ones found."""
    made = shop(tmp_path)
    made.put("web", "2026-01-05", "a.jsonl", builders.lines(*BEFORE))
    made.run(MORNING)
    made.put("web", "2026-01-05", "b.jsonl", builders.lines(*FIRST))
    assert processes.ended(processes.start_run(tmp_path, NOON, fail_at="decide.judged:kill")) == processes.KILLED
    with OpsStore.open(made.project.ops) as store, store.read() as connection:
        assert [*ops.decided(connection)] == []
    assert processes.ended(processes.start_run(tmp_path, NOON, fail_at="decide.recorded:kill")) == processes.KILLED
    made.put("web", "2026-01-05", "c.jsonl", builders.lines(*SECOND))
    assert processes.ended(processes.start_run(tmp_path, EVENING, fail_at="model.done:kill")) == processes.KILLED
    made.run(EVENING)
    one, other = published(made), published(told)
    assert [row["trigger_id"] for row in one["triggers"]] == [row["trigger_id"] for row in other["triggers"]]
    assert one == other


def test_other_cuts_of_the_same_exports_give_the_same_decisions(
    told: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In other files, in another order, with repetitions; and with a publish that failed in between."""
    made = Shop(load_project(shop(tmp_path).project.root, {}))
    made.put("web", "2026-01-05", "z.jsonl", builders.lines(*reversed(BEFORE)))
    made.run(MORNING)
    for number, event in enumerate(reversed(FIRST)):
        made.put("web", "2026-01-05", f"y{number}.jsonl", builders.lines(event))
    monkeypatch.setenv(VARIABLE, "publish.written:raise")
    with pytest.raises(FailPointReached):
        made.run(NOON)
    monkeypatch.delenv(VARIABLE)
    made.put("web", "2026-01-05", "x.jsonl", builders.lines(*SECOND[::-1]))
    made.run(EVENING)

    def comparable(tables: dict[str, list[dict[str, Any]]]) -> list[Any]:
        return [
            [row["automation"], row["customer_id"], row["status"], row["reason"], row["decided_at"]]
            for row in tables["decisions"]
        ]

    assert comparable(published(made)) == comparable(published(told))
