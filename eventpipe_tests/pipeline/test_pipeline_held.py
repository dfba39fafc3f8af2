"""A run that made something wrong is not served, and says why: each kind of check, through the real pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.audit import exports
from eventpipe.audit.audit import announced, audit
from eventpipe.audit.drift import RENAMED
from eventpipe.audit.findings import WITHHELD, Finding
from eventpipe.audit.judge import Judge
from eventpipe.errors import AuditHeld
from eventpipe.ops import checks, definitions, holds, runs
from eventpipe.ops.store import OpsStore
from eventpipe.project.audit_rules import Severities
from eventpipe.warehouse.database import connect
from eventpipe_tests import builders
from eventpipe_tests.pipeline.shop import Shop

AS_OF = datetime(2026, 1, 6, tzinfo=UTC)
LATE = AS_OF + timedelta(days=30)
ORDER = {"name": "order.completed", "properties": [{"name": "total", "type": "number", "required": True}]}


def shop(
    folder: Path, *expectations: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = (ORDER,), **rules: Any
) -> Shop:
    """A project whose expectations.yml says this and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "expectations.yml").write_text(json.dumps({"expectations": list(expectations), **rules}))
    return Shop(builders.project(folder, events=events), expects=True)


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


BETWEEN = "column_values_to_be_between"
BROKEN: Mapping[str, Mapping[str, Any]] = {
    "profile_of_events": {"of": "event_profile", "expect": BETWEEN, "column": "reject_rate", "max_value": 0.1},
    "profile_of_properties": {
        **{"of": "property_profile", "expect": BETWEEN, "column": "coercion_rate", "max_value": 0.1}
    },
    "profile_of_values": {
        **{"of": "value_profile", "expect": "column_max_to_be_between", "column": "value_max", "max_value": 100}
    },
    "sample_of_events": {
        **{"of": "event_sample", "expect": "column_values_to_be_in_set", "column": "currency", "value_set": ["USD"]}
    },
    "sample_of_properties": {
        **{"of": "property_sample", "expect": "column_values_to_be_in_set", "column": "seen", "value_set": ["number"]}
    },
    "names": {"of": "event_sample", "expect": "column_values_to_match_regex", "column": "event_name", "regex": "^page"},
    "nothing": {
        **{"of": "event_profile", "expect": "column_values_to_not_be_null", "column": "lines"},
        **{"where": {"event_name": "checkout.started"}, "required": True},
    },
    "not_to_be_evaluated": {"of": "event_sample", "expect": "column_mean_to_be_between", "column": "event_name"}
    | {"max_value": 1},
}
"""Expectations that what lands below does not satisfy, of every kind."""

OWN = tuple(name for name in Severities.model_fields if name not in ("few_contacts_merge", RENAMED, *exports.CHECKS))
"""The checks of our own that it does not satisfy either; contacts are merged in a later test, and lines of JSON have no
columns."""

CANARIES = ("canary@person.example", "canary-customer", "+15005550006", "canary value", "canary_name", "canary-order")


def wrong() -> list[object]:
    """What breaks every one of those rules, from a person whose data may turn up nowhere."""
    mail, customer, phone, value, name, order_id = CANARIES
    person = {"email": mail, "phone": phone, "order_id": order_id, "value": 5000, "currency": "EUR"}
    return [
        order(customer_id=customer, **person),
        order(customer_id="c2", order_id=order_id, properties={"total": "5", name: value}),
        order(customer_id="c2", properties={"total": value}),
        order(customer_id="c2", occurred_at=value),
        *[builders.event(event_name=f"{one}", customer_id="c2") for one in ("Order Completed", "Sign Up", "sign-up")],
        builders.event(event_name=f"{mail} bought", customer_id=customer),
        "{" + value,
    ]


@dataclass(frozen=True)
class Held:
    """A project that published once and was held back twice since."""

    root: Path
    published: bytes
    errors: tuple[str, str]
    findings: Mapping[str, list[Finding]]

    def shop(self, *expectations: Mapping[str, Any], **rules: Any) -> Shop:
        return shop(self.root, *expectations, events=(OBSERVED,), identity={"largest_contact": 2}, **rules)


OBSERVED = ORDER | {"mode": "observe"}


def expectation(name: str, severity: str = "error") -> Mapping[str, Any]:
    return {"name": name, "severity": severity, **BROKEN[name]}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    root = tmp_path_factory.mktemp("held")
    made = shop(root, events=(OBSERVED,))
    made.put("web", "2026-01-02", "good.jsonl", builders.lines(builders.event(event_name="page.seen")))
    made.run(AS_OF)
    published = made.project.analytics.read_bytes()
    made.put("web", "2026-01-05", "wrong.jsonl", builders.lines(*wrong()))
    begun = Held(root, published, ("", ""), {})
    made = begun.shop(*map(expectation, BROKEN), severity=dict.fromkeys(OWN, "error"))
    errors = []
    for _ in range(2):  # the next run changes nothing, and is about the same data
        with pytest.raises(AuditHeld) as raised:
            made.run(LATE)
        errors.append(str(raised.value))
        assert made.project.analytics.read_bytes() == published
    return Held(root, published, (errors[0], errors[1]), found(made))


@pytest.mark.parametrize("name", [*BROKEN, *OWN])
def test_each_kind_of_check_holds_the_publish_back(held: Held, name: str) -> None:
    """As they are recorded of a run that broke all of them; and alone, a check holds the same tables back."""
    assert [each.holds_back for each in held.findings[name]] == [True]
    rules = {"severity": {name: "error"}} if name in OWN else {}
    project = held.shop(*[expectation(each) for each in BROKEN if each == name], data_docs=False, **rules).project
    with connect(project) as connection, OpsStore.open(project.ops) as store, Judge() as judge:
        judged = audit(connection, project, judge.ask, list, as_of=LATE, published=runs.published(store))
    assert [each.check for each in judged.findings if each.holds_back] == [name]
    assert [each.check for each in announced(project) if each.holds_back] == [name]


def test_a_held_run_says_why(held: Held) -> None:
    assert held.errors[0] == held.errors[1]
    assert "The last good tables are still served." in held.errors[0]
    assert "profile_of_events on reject_rate (rows 6, unexpected 2)" in held.errors[0]
    assert f"And {len(BROKEN) + len(OWN) - 3} more." in held.errors[0]
    assert held.findings["nothing"][0].observed == {"rows": 0}
    assert "could not evaluate it" in str(held.findings["not_to_be_evaluated"][0].message)
    with OpsStore.open(held.shop().project.ops) as store:
        recorded = runs.recent(store, 3)
    assert [run.status for run in recorded] == ["held", "held", "published"]
    assert all(run.error and held.errors[0].startswith(run.error) for run in recorded[:2])


def test_failing_rows_say_which(held: Held) -> None:
    rows = {name: [dict(row) for row in held.findings[name][0].failing] for name in BROKEN}
    assert {row["event_name"] for row in rows["names"]} == {
        *("order.completed", "Order Completed", "Sign Up", "sign-up", WITHHELD)
    }
    assert rows["profile_of_properties"] == [
        {"source": "web", "event_name": "order.completed", "day": "2026-01-05", "property": "total"}
        | {"coercion_rate": pytest.approx(1 / 3, abs=1e-6)}
    ]
    assert rows["sample_of_properties"] == [
        {"source": "web", "event_name": "order.completed", "property": "total", "declared": "number", "seen": "string"}
        | {"events": 1}
    ]


def test_no_personal_data_is_in_data_docs_checks_and_logs(held: Held) -> None:
    """Names of properties and events that nobody declared may be somebody's, too."""
    project = held.shop().project
    with connect(project) as connection:
        rows = str(connection.execute("from event_versions").fetchall()) + str(
            connection.execute("from rejected_events").fetchall()
        )
    assert all(canary in rows for canary in CANARIES), "otherwise the rest could not fail"
    pages = sorted((project.state / "data_docs").rglob("*.html"))
    assert len(pages) > 4
    told = "".join(page.read_text() for page in pages)
    assert "reject_rate" in told
    assert "raised an exception" in told, "what Great Expectations says of an exception quotes what it was given"
    stored = b"".join(path.read_bytes() for path in (project.state / "dbt").rglob("*") if path.is_file())
    said = str(held.findings) + "".join(held.errors)
    for canary in CANARIES:
        assert canary not in told, canary
        assert canary not in said, canary
        assert canary.encode() not in stored, canary


def test_what_only_warns_is_published_with_what_held_it_back_before(held: Held) -> None:
    warned = held.shop(*[expectation(name, "warn") for name in BROKEN])
    assert "events" in warned.run(LATE)
    assert warned.project.analytics.read_bytes() != held.published
    assert {name for name, findings in found(warned).items() if any(each.warns for each in findings)} == {*BROKEN, *OWN}
    with duckdb.connect(str(warned.project.analytics), read_only=True) as connection:
        rows = connection.execute(
            "select run_status, severity, check_kind, checks.status from checks join runs using (run_id)"
            " where check_name = 'names' order by run_started_at"
        ).fetchall()
    assert rows == [
        ("held", "error", "expectation", "failed"),
        ("held", "error", "expectation", "failed"),
        ("published", "warn", "expectation", "failed"),
    ]


def test_warnings_tell_what_to_look_at(held: Held) -> None:
    told = {name: held.findings[name][0] for name in OWN}
    assert (told["freshness"].subject, told["freshness"].observed["last_landed_on"]) == ("web", "2026-01-05")
    names = told["event_names_are_defined_once"]
    assert "order.completed: aliases: [Order Completed]" in str(names.message)
    assert {row["event_name"] for row in names.failing} == {"Order Completed", "Sign Up", "sign-up"}
    assert told["properties_are_declared"].observed == {"events": 1, "properties": 1}
    assert [dict(row) for row in told["properties_keep_their_type"].failing] == [
        {"source": "web", "event_name": "order.completed", "property": "total", "declared": "number", "mistyped": 1}
    ]
    assert told["orders_have_one_contact"].observed == {"orders": 1, "events": 2}
    assert told["contacts_are_in_proportion"].observed["events"] == 5
    with connect(held.shop().project) as connection:
        listed = connection.execute("select order_id, contacts, event_count from order_conflicts").fetchall()
    assert listed == [(CANARIES[-1], 2, 1)] * 2


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, list[dict[str, list[Finding]]]]:
    """A project with the rules that `init` writes, run, run again, and with another definition: what was found."""
    root = tmp_path_factory.mktemp("good")
    made = Shop(builders.project(root, events=[ORDER]), expects=True)
    made.put("web", "2026-01-05", "a.jsonl", builders.lines(*[order() for _ in range(5)], order(occurred_at="never")))
    findings = []
    for definition in (ORDER, ORDER, OBSERVED):
        made = Shop(builders.project(root, events=[definition]), expects=True)
        made.run(AS_OF)
        findings.append(found(made))
    return made, findings


Good = tuple[Shop, list[dict[str, list[Finding]]]]


def test_a_good_run_passes_the_rules_that_init_writes(good: Good) -> None:
    made, [by_check, *_] = good
    assert {each.kind for findings in by_check.values() for each in findings} == {
        *("dbt", "expectation", "volume", "freshness", "drift", "orders", "identity")
    }
    assert [each for findings in by_check.values() for each in findings if each.status == "failed"] == []
    assert by_check["numbers_are_numbers"][0].observed == {"rows": 5, "unexpected": 0}
    pages = list((made.project.state / "data_docs").rglob("*.html"))
    assert any("event_profile" in page.name for page in pages)


def test_a_run_that_changes_nothing_has_nothing_to_judge(good: Good) -> None:
    again = good[1][1]
    assert {each.status for findings in again.values() for each in findings if each.kind == "expectation"} == {
        "skipped"
    }


def test_versions_of_definitions_are_remembered(good: Good) -> None:
    made, _ = good
    with OpsStore.open(made.project.ops) as store:
        newest, oldest = definitions.history(store, "order.completed")
    assert (newest.version, newest.until_at) == (made.project.registry.by_name["order.completed"].version, None)
    assert (oldest.content.get("mode"), newest.content["mode"]) == (None, "observe")
    assert oldest.until_at == newest.from_at


def test_a_drop_is_held(tmp_path: Path) -> None:
    made = shop(tmp_path, volume={"events": {"checkout.started": "hold"}}, events=())
    first = date(2026, 1, 1)
    days = [first + timedelta(days=n) for n in range(64)]
    records = [
        builders.event(event_name=name, customer_id=f"c{n}", occurred_at=f"{day}T10:00:00Z")
        for day in days
        for name in (["page.seen"] if day == days[-1] else ["checkout.started"])
        for n in range(40)
    ]
    # What lands late is complete two days later.
    made.put("web", "2026-03-07", "a.jsonl", builders.lines(*records))
    made.run(datetime(2026, 3, 8, tzinfo=UTC))
    [finding] = found(made)["volumes_are_like_before"]
    assert (finding.subject, finding.status, finding.observed["count"]) == ("web: checkout.started", "failed", 0)
    with OpsStore.open(made.project.ops) as store, store.read() as connection:
        held = holds.held(connection, "web", "checkout.started")
        assert holds.held(connection, "web", "page.seen") is None
    assert held is not None
    assert (held.first_day, held.last_day) == (days[-1], days[-1])
