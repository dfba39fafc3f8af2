"""A run that made something wrong is not served, and says why: each kind of check, through the real pipeline (spec 5)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.audit.findings import Finding
from eventpipe.errors import AuditHeld
from eventpipe.ops import checks, definitions, holds, runs
from eventpipe.ops.store import OpsStore
from eventpipe_tests import builders
from eventpipe_tests.pipeline.shop import Shop

AS_OF = datetime(2026, 1, 6, tzinfo=UTC)
ORDER = {"name": "order.completed", "properties": [{"name": "total", "type": "number", "required": True}]}


def shop(
    folder: Path, *expectations: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = (ORDER,), **rules: Any
) -> Shop:
    """A project whose expectations.yml says this and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "expectations.yml").write_text(json.dumps({"expectations": list(expectations), **rules}))
    return Shop(builders.project(folder, events=events))


def order(**fields: object) -> dict[str, object]:
    return builders.event(event_name="order.completed", properties={"total": 5}) | fields


def found(made: Shop) -> dict[str, list[Finding]]:
    """What the last run's audit found, by check."""
    with OpsStore.open(made.project.ops) as store:
        last = runs.last(store)
        assert last is not None
        by_check: dict[str, list[Finding]] = {}
        for each in checks.of_run(store, last.run_id):
            by_check.setdefault(each.check, []).append(each)
    return by_check


BROKEN: Mapping[str, tuple[Mapping[str, Any], Sequence[object]]] = {
    "a profile of events": (
        {"of": "event_profile", "expect": "column_values_to_be_between", "column": "reject_rate", "max_value": 0.5},
        [order(), order(occurred_at="never"), order(occurred_at="never"), order(occurred_at="never")],
    ),
    "a profile of properties": (
        {
            "of": "property_profile",
            "expect": "column_values_to_be_between",
            "column": "coercion_rate",
            "max_value": 0.5,
        },
        [order(properties={"total": "5"}), order(properties={"total": "6"})],
    ),
    "a profile of values": (
        {"of": "value_profile", "expect": "column_max_to_be_between", "column": "value_max", "max_value": 100},
        [order(value=5), order(value=5000)],
    ),
    "a sample of events": (
        {"of": "event_sample", "expect": "column_values_to_be_in_set", "column": "currency", "value_set": ["USD"]},
        [order(value=5, currency="EUR")],
    ),
    "a sample of properties": (
        {
            "of": "property_sample",
            "expect": "column_values_to_not_be_in_set",
            "column": "seen",
            "value_set": ["number"],
        },
        [order()],
    ),
    "an expectation on nothing": (
        {
            **{"of": "event_profile", "expect": "column_values_to_not_be_null", "column": "lines"},
            **{"where": {"event_name": "checkout.started"}, "required": True},
        },
        [order()],
    ),
    "an expectation that cannot be evaluated": (
        {"of": "event_sample", "expect": "column_mean_to_be_between", "column": "kind", "max_value": 1},
        [order()],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_breaks_an_expectation_is_not_served_until_it_is_corrected(tmp_path: Path, kind: str) -> None:
    expectation, wrong = BROKEN[kind]
    expectation = {"name": "holds", "severity": "error", **expectation}
    made = shop(tmp_path)
    good = made.put("web", "2026-01-04", "good.jsonl", builders.lines(builders.event(event_name="page.seen")))
    made.run(AS_OF)
    published = made.project.analytics.read_bytes()
    made.put("web", "2026-01-05", "wrong.jsonl", builders.lines(*wrong))
    held = shop(tmp_path, expectation)
    for attempt in ("the run", "a next one, that changes nothing"):
        with pytest.raises(AuditHeld, match="holds on"):
            held.run(AS_OF)
        assert held.project.analytics.read_bytes() == published, attempt
        [finding] = found(held)["holds"]
        assert (finding.status, finding.severity, finding.kind) == ("failed", "error", "expectation")
        with OpsStore.open(made.project.ops) as store:
            last = runs.last(store)
            assert last is not None
            assert last.status == "held"
            assert last.error is not None
            assert "holds on" in last.error
    warned = shop(tmp_path, expectation | {"severity": "warn"})
    assert "events" in warned.run(AS_OF)
    assert warned.project.analytics.read_bytes() != published
    assert found(warned)["holds"][0].warns
    with duckdb.connect(str(made.project.analytics), read_only=True) as connection:
        rows = connection.execute(
            "select run_status, severity, check_kind, checks.status from checks join runs using (run_id)"
            " where check_name = 'holds' order by run_started_at"
        ).fetchall()
    assert rows == [
        ("held", "error", "expectation", "failed"),
        ("held", "error", "expectation", "failed"),
        ("published", "warn", "expectation", "failed"),
    ]
    assert good.exists()


def test_a_good_run_passes_the_rules_that_init_writes(tmp_path: Path) -> None:
    made = Shop(builders.project(tmp_path, events=[ORDER]))
    made.put("web", "2026-01-05", "a.jsonl", builders.lines(*[order() for _ in range(5)], order(occurred_at="never")))
    made.run(AS_OF)
    by_check = found(made)
    assert {each.kind for findings in by_check.values() for each in findings} == {
        *("dbt", "expectation", "volume", "freshness", "drift", "orders", "identity")
    }
    assert [each for findings in by_check.values() for each in findings if each.status == "failed"] == []
    assert by_check["numbers_are_numbers"][0].observed == {"rows": 5, "unexpected": 0}
    pages = list((made.project.state / "data_docs").rglob("*.html"))
    assert any("event_profile" in page.name for page in pages)


def test_a_run_that_changes_nothing_has_nothing_to_judge(tmp_path: Path) -> None:
    made = Shop(builders.project(tmp_path, events=[ORDER]))
    made.put("web", "2026-01-05", "a.jsonl", builders.lines(order()))
    made.run(AS_OF)
    made.run(AS_OF)
    assert {each.status for findings in found(made).values() for each in findings if each.kind == "expectation"} == {
        "skipped"
    }


def test_warnings_tell_what_to_look_at(tmp_path: Path) -> None:
    observing = ORDER | {"mode": "observe"}
    lead = {"name": "lead.made", "properties": [{"name": "page", "type": "string"}]}
    made = shop(tmp_path, events=[observing, lead], identity={"largest_contact": 3})
    made.put(
        "web",
        "2026-01-05",
        "a.jsonl",
        builders.lines(
            order(customer_id="c1", order_id="o1"),
            order(customer_id="c2", order_id="o1"),
            order(customer_id="c2", properties={"total": "a lot"}),
            *[
                builders.event(event_name=name, customer_id="c9", properties={"canary": 1})
                for name in ("Lead_Made", "lead.made")
            ],
            *[builders.event(event_name=name, customer_id="c9") for name in ("Checkout Started", "checkout-started")],
        ),
    )
    made.run(AS_OF + timedelta(days=30))
    by_check = {check: [each for each in findings if each.warns] for check, findings in found(made).items()}
    [stale] = by_check["freshness"]
    assert (stale.subject, stale.observed["last_landed_on"]) == ("web", "2026-01-05")
    [names] = by_check["event_names_are_defined_once"]
    assert "lead.made: aliases: [Lead_Made]" in str(names.message)
    assert {row["event_name"] for row in names.failing} == {"Lead_Made", "Checkout Started", "checkout-started"}
    assert by_check["properties_are_declared"][0].observed == {"events": 1, "properties": 1}
    [mistyped] = by_check["properties_keep_their_type"]
    assert list(mistyped.failing) == [
        {"source": "web", "event_name": "order.completed", "property": "total", "declared": "number", "mistyped": 1}
    ]
    assert by_check["orders_have_one_contact"][0].observed == {"orders": 1, "events": 2}
    assert by_check["contacts_are_in_proportion"][0].observed["events"] == 4
    with duckdb.connect(str(made.project.analytics), read_only=True) as connection:
        listed = connection.execute("select order_id, contacts, event_count from order_conflicts").fetchall()
        told = connection.execute("select failing_rows, observed, message from checks").fetchall()
    assert listed == [("o1", 2, 1), ("o1", 2, 1)]
    assert "canary" not in str(told), "names that nobody declared are in the catalogue, not in the checks"


def test_a_drop_is_held_until_it_is_released(tmp_path: Path) -> None:
    made = shop(tmp_path, volume={"events": {"checkout.started": "hold"}}, events=())
    first = date(2026, 1, 1)
    days = [first + timedelta(days=n) for n in range(64)]
    for place, day in enumerate(days):
        name = "checkout.started" if place < len(days) - 1 else "page.seen"
        at = f"{day}T10:00:00Z"
        records = [builders.event(event_name=name, customer_id=f"c{n}", occurred_at=at) for n in range(40)]
        made.put("web", day.isoformat(), "a.jsonl", builders.lines(*records))
    as_of = datetime(2026, 3, 6, tzinfo=UTC)
    made.run(as_of)
    [finding] = found(made)["volumes_are_like_before"]
    assert (finding.subject, finding.status, finding.observed["count"]) == ("web: checkout.started", "failed", 0)
    with OpsStore.open(made.project.ops) as store, store.read() as connection:
        held = holds.held(connection, "web", "checkout.started")
        assert holds.held(connection, "web", "page.seen") is None
    assert held is not None
    assert (held.first_day, held.last_day) == (days[-1], days[-1])
    made.run(as_of)
    with OpsStore.open(made.project.ops) as store:
        assert [each.hold_id for each in holds.list_holds(store)] == [held.hold_id]


def test_versions_of_definitions_are_remembered(tmp_path: Path) -> None:
    made = Shop(builders.project(tmp_path, events=[ORDER]))
    made.put("web", "2026-01-05", "a.jsonl", builders.lines(order()))
    made.run(AS_OF)
    made.run(AS_OF)
    changed = Shop(builders.project(tmp_path, events=[ORDER | {"mode": "observe"}]))
    changed.run(AS_OF)
    with OpsStore.open(made.project.ops) as store:
        newest, oldest = definitions.history(store, "order.completed")
    assert (newest.version, newest.until_at) == (changed.project.registry.by_name["order.completed"].version, None)
    assert (oldest.version, oldest.until_at) == (
        made.project.registry.by_name["order.completed"].version,
        newest.from_at,
    )
    assert newest.content["mode"] == "observe"
