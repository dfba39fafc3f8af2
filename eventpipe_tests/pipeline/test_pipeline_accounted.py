"""Promise 1 on a dirty sample: every line is accounted for, and the tables say what the sample's own story says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from eventpipe.project.folder import load_project
from eventpipe.project.starter import create_project
from eventpipe.sample.generate import generate
from eventpipe.sample.request import SampleRequest, SampleSummary
from eventpipe_tests.pipeline.published import Tables
from eventpipe_tests.pipeline.shop import Shop


@dataclass(frozen=True)
class Sampled:
    """What the sample told, and what was published of it."""

    story: SampleSummary
    tables: Tables

    def count(self, table: str, *columns: str) -> Counter[tuple[object, ...]]:
        """Rows of a table by the values of some columns."""
        return Counter(tuple(record[column] for column in columns) for record in self.tables[table].records())


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Sampled:
    root = tmp_path_factory.mktemp("sample") / "shop"
    create_project(root)
    project = load_project(root, {})
    story = generate(SampleRequest(events=3000, seed=5, out=project.exports, start=date(2026, 1, 1), days=3))
    return Sampled(story, Shop(project).run(datetime(2026, 2, 1, tzinfo=UTC)))


def test_every_line_of_every_file_is_accepted_rejected_or_blank(sampled: Sampled) -> None:
    told: dict[str, Counter[str]] = {}
    for row in sampled.tables["ledger"].records():
        assert row["lines"] == row["accepted"] + row["rejected"] + row["blank"], row
        counted = told.setdefault(row["source"], Counter())
        counted.update(files=1, lines=row["lines"], accepted=row["accepted"])
        counted.update(rejected=row["rejected"], blank=row["blank"])
    for name, source in sampled.story.sources.items():
        assert told[name] == Counter(
            files=source.files,
            lines=source.lines,
            accepted=source.expected_accepted,
            rejected=source.rejected_lines,
            blank=source.blank,
        )


def test_every_accepted_line_is_a_version_and_every_rejected_one_a_reject(sampled: Sampled) -> None:
    ledger = sampled.tables["ledger"].records()
    export = ("source", "landed_on", "file")
    versions, rejects = sampled.count("event_versions", *export), sampled.count("rejected_events", *export)
    for row in ledger:
        key = (row["source"], row["landed_on"], row["file"])
        assert (versions[key], rejects[key]) == (row["accepted"], row["rejected"]), row
    statuses = sampled.count("event_versions", "status")
    assert statuses[("current",)] == len(sampled.tables["events"].records())
    assert statuses[("current",)] + statuses[("superseded",)] == sampled.story.expected_accepted


def test_every_reject_names_every_reason(sampled: Sampled) -> None:
    found = Counter(reason for row in sampled.tables["rejected_events"].records() for reason in row["reasons"])
    assert found == Counter(sampled.story.expected_rejected)
    assert len(found) > 5


def test_the_catalogue_and_the_daily_volume_add_up_to_the_same_lines(sampled: Sampled) -> None:
    catalogue, days = sampled.tables["event_catalog"].records(), sampled.tables["event_volume_daily"].records()
    assert sum(row["accepted"] for row in catalogue) == sampled.story.expected_accepted
    assert sum(row["accepted"] for row in days) == sampled.story.expected_accepted
    assert sum(row["rejected"] for row in days) == sampled.story.rejected_lines
    superseded = sampled.count("event_versions", "status")[("superseded",)]
    assert sum(row["duplicates"] for row in days) == superseded
    assert sum(row["events"] for row in catalogue) == len(sampled.tables["events"].records())
    assert all(name for row in catalogue for name, *_ in row["properties"] or ()), "an empty object has no property"


def test_contacts_are_those_of_the_story(sampled: Sampled) -> None:
    contacts = sampled.tables["contacts"].records()
    assert len(contacts) == sampled.story.contacts
    assert sum(not contact["is_anonymous"] for contact in contacts) == sampled.story.known_contacts
    live = [row for row in sampled.tables["events"].records() if row["deletion"] != "deleted"]
    assert sum(contact["event_count"] for contact in contacts) == len(live)


def test_orders_and_money_are_those_of_the_story(sampled: Sampled) -> None:
    gross: Counter[str] = Counter()
    refunds: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    for row in sampled.tables["events"].records():
        if row["deletion"] == "deleted":
            continue
        if row["event_name"] == "order.completed":
            orders[row["order_id"]] += 1
            gross[row["currency"]] += row["value"]
        if row["event_name"] == "order.refunded":
            refunds[row["currency"]] += row["value"]
    assert len(orders) == sampled.story.orders
    assert set(orders.values()) == {1}
    assert sampled.story.orders_reported_twice > 0
    assert dict(gross) == sampled.story.gross
    assert dict(refunds) == sampled.story.refunds
    net: Counter[str] = Counter()
    for row in sampled.tables["contact_goals"].records():
        if row["goal_type"] == "purchase":
            net[row["currency"]] += row["value_sum"]
    for currency in gross | refunds:
        assert net[currency] == gross[currency] + refunds.get(currency, Decimal(0))
