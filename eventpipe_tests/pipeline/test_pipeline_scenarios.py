"""What must happen when the second run finds other exports than the first: one story per rule, each in its own world.

All stories share two runs. A world's name is its story's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.agreement import assert_agrees
from eventpipe_tests.pipeline.histories import put
from eventpipe_tests.pipeline.published import Tables, assert_same
from eventpipe_tests.pipeline.reports import Identifier, Report, as_order
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.pipeline.worlds import ORDER, FileKey

EARLY, LATE = date(2026, 1, 3), date(2026, 1, 5)
FIRST_RUN, SECOND_RUN = datetime(2026, 1, 4, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)
C1, C2 = ("customer_id", "c1"), ("customer_id", "c2")
E1, E2 = ("email", "e1@shop.example"), ("email", "e2@shop.example")
A1 = ("anonymous_id", "a1")

Files = dict[FileKey, list[Report]]


def at(hour: int) -> datetime:
    """So many hours into the first of January."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)


def said(source: str, hour: int, *identifiers: Identifier, name: str = "page.seen", **told: Any) -> Report:
    return Report("", source, name, at(hour), identifiers, **told)


def order(source: str, hour: int, *identifiers: Identifier, order_id: str, value: str, **told: Any) -> Report:
    return as_order(said(source, hour, *identifiers, name=ORDER, **told), order_id, Decimal(value))


@dataclass
class Stories:
    """Everybody's files before the first run, and those that are new or changed before the second."""

    first: Files = field(default_factory=lambda: defaultdict(list))
    then: Files = field(default_factory=lambda: defaultdict(list))

    def tell(self, world: str, first: list[Report], then: list[Report], *, replaced: bool = False) -> None:
        """`replaced`: the second run finds `then` under the first file's name, else in another file, a day later."""
        for report in first:
            self.first[report.source, EARLY, f"{world}.jsonl"].append(replace(report, world=world))
        for report in then:
            day, name = (EARLY, f"{world}.jsonl") if replaced else (LATE, "later.jsonl")
            self.then[report.source, day, name].append(replace(report, world=world))


def stories() -> Stories:
    told = Stories()
    kept, dropped = said("web", 1, C1, key="k1"), said("web", 2, C2, key="k2")
    told.tell("export-replaced", [kept, dropped], [kept], replaced=True)
    told.tell(
        "winner-deleted",
        [
            order("web", 1, E1, order_id="o1", value="10", key="k1"),
            order("crm", 1, E1, order_id="o1", value="12", key="k1"),
        ],
        [order("crm", 1, E1, order_id="o1", value="12", key="k1", deletion="deleted", deleted_at=at(9))],
    )
    told.tell(
        "better-source-later",
        [order("web", 1, E1, order_id="o1", value="10", key="k1")],
        [order("crm", 2, E1, order_id="o1", value="12", key="k1")],
    )
    told.tell(
        "better-source-says-another",
        [
            order("web", 1, E1, order_id="o1", value="10", key="k1"),
            *(said("web", 2, each) for each in (E1, E2)),
            order("web", 3, E1, order_id="o2", value="5", key="k2"),
            order("crm", 3, E1, order_id="o2", value="5", key="k2"),
        ],
        [order("crm", 2, E2, order_id="o1", value="12", key="k1")],
    )
    told.tell(
        "moves-to-another-contact",
        [said("crm", 1, E1, key="k1", properties={"pages": 1}), said("crm", 1, E2, name="lead.made", key="k1")],
        [said("crm", 2, E2, key="k1", properties={"pages": 2})],
    )
    told.tell("late-bridge", [said("web", 1, E1), said("web", 2, C1)], [said("web", 30, C1, E1)])
    told.tell("becomes-known", [said("web", 1, A1), said("web", 2, A1)], [said("web", 30, C1, A1)])
    told.tell("device-was-somebody-elses", [said("web", 5, C1, A1)], [said("web", 1, C2, A1)])
    told.tell(
        "deleted-one-is-held-later",
        [
            said("web", 1, E1),
            said("web", 2, C1, E1, key="k1"),
            said("web", 2, C1, E1, key="k1", deletion="deleted", deleted_at=at(3)),
        ],
        [said("web", 4, C1)],
    )
    told.tell(
        "future",
        [said("web", 1, C1), order("web", 80, C1, order_id="o1", value="10", key="k1")],
        [said("web", 3, C1)],
    )
    told.tell(
        "future-version",
        [said("crm", 1, E1, key="k1"), said("crm", 80, E2, key="k1")],
        [said("crm", 2, E1, name="lead.made", key="k1")],
    )
    told.tell(
        "first-wins",
        [order("shop", 1, C1, order_id="o1", value="10", key="k1")],
        [order("shop", 9, C2, order_id="o1", value="99", key="k1")],
    )
    told.tell(
        "restored",
        [
            order("crm", 1, E1, order_id="o1", value="10", key="k1"),
            order("crm", 1, E1, order_id="o1", value="10", key="k1", deletion="deleted", deleted_at=at(5)),
        ],
        [order("crm", 1, E1, order_id="o1", value="10", key="k1", deletion="restored")],
    )
    told.tell(
        "goal-is-kept",
        [said("crm", 1, E1, key="k1", goal_type="lead", value=Decimal(5))],
        [said("crm", 2, E1, key="k1")],
    )
    told.tell("unknown-is-deleted", [], [said("crm", 1, E1, key="k1", deletion="deleted", deleted_at=at(2))])
    return told


@dataclass(frozen=True)
class Told:
    """What was published after each run, and by a rebuild."""

    before: Tables
    after: Tables
    rebuilt: Tables
    """After the second run, with a source taken out of the configuration."""
    undescribed: list[tuple[str, str | None]]
    """Tables and columns that say nothing of themselves after the second run."""

    def rows(self, world: str, table: str, *columns: str, before: bool = False) -> list[tuple[Any, ...]]:
        """A world's rows of a table, as sorted tuples of these columns."""
        records = (self.before if before else self.after)[table].records()
        found = (tuple(each[column] for column in columns) for each in records if each["workspace_id"] == world)
        return sorted(found, key=repr)

    def contacts(self, world: str, *, before: bool = False) -> list[Any]:
        return [contact for (contact,) in self.rows(world, "contacts", "contact_id", before=before)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    all_of_them = stories()
    first = {key: tuple(reports) for key, reports in all_of_them.first.items()}
    then = first | {key: tuple(reports) for key, reports in all_of_them.then.items()}
    shop = Shop(worlds.project(tmp_path_factory.mktemp("stories")))
    put(shop, first)
    before = shop.run(FIRST_RUN)
    assert_agrees(before, worlds.oracle(first, FIRST_RUN))
    put(shop, then)
    after = shop.run(SECOND_RUN)
    assert_agrees(after, worlds.oracle(then, SECOND_RUN))
    undescribed = undescribed_in(shop.project.analytics)
    without = {name: profile for name, profile in shop.project.profiles.items() if name != "crm"}
    rebuilt = Shop(replace(shop.project, profiles=without)).run(SECOND_RUN, full_refresh=True)
    return Told(before, after, rebuilt, undescribed)


def undescribed_in(published: Path) -> list[tuple[str, str | None]]:
    with duckdb.connect(str(published), read_only=True) as connection:
        return connection.execute("""
            select table_name, column_name from duckdb_columns() where schema_name = 'main' and not internal and comment is null
            union all select table_name, null from duckdb_tables() where schema_name = 'main' and comment is null
            union all
            select view_name, null from duckdb_views() where schema_name = 'main' and comment is null and not internal
        """).fetchall()


def test_tables_that_a_run_added_to_are_described_all_the_same(told: Told) -> None:
    assert told.undescribed == []


def test_a_rebuild_gives_the_same_also_of_a_source_that_is_configured_no_more(told: Told) -> None:
    """What it sent stays, and counts by the rules that it had: the crm's latest report wins, and its orders come first."""
    assert_same(told.after, told.rebuilt, by=("updated", "rebuilt"))


def test_what_an_export_no_longer_holds_disappears(told: Told) -> None:
    assert len(told.contacts("export-replaced", before=True)) == 2
    for table in ("events", "event_versions", "contacts", "contact_identifiers", "contact_timeline"):
        assert len(told.rows("export-replaced", table)) == 1, table


def test_the_next_report_of_an_order_counts_when_the_better_one_is_deleted(told: Told) -> None:
    live = ("source", "value", "deletion")
    assert told.rows("winner-deleted", "events", *live, before=True) == [("crm", Decimal(12), "unchanged")]
    assert told.rows("winner-deleted", "events", *live) == [
        ("crm", Decimal(12), "deleted"),
        ("web", Decimal(10), "unchanged"),
    ]
    assert told.rows("winner-deleted", "contact_goals", "event_count", "value_sum") == [(1, Decimal(10))]
    assert told.rows("winner-deleted", "contact_rfm", "frequency", "monetary", before=True) == [(1, Decimal(12))]
    assert told.rows("winner-deleted", "contact_rfm", "frequency", "monetary") == [(1, Decimal(10))]


def test_the_source_with_more_authority_takes_an_order_over(told: Told) -> None:
    assert told.rows("better-source-later", "events", "source", "value") == [("crm", Decimal(12))]
    assert told.rows("better-source-later", "event_versions", "source", "status") == [
        ("crm", "current"),
        ("web", "superseded"),
    ]
    assert told.rows("better-source-later", "contact_rfm", "frequency", "monetary") == [(1, Decimal(12))]


def test_an_order_that_two_sources_give_to_two_contacts_is_one_event_and_a_conflict(told: Told) -> None:
    """The report that counts no more is the only one that says whose the order may be, too."""
    world = "better-source-says-another"
    assert told.rows(world, "order_conflicts", "order_id", before=True) == []
    [(e1,), (e2,)] = (
        [contact for contact, email in told.rows(world, "contacts", "contact_id", "email") if email == wanted]
        for wanted in (E1[1], E2[1])
    )
    expected = [("o1", e1, ["web"], 1, 2), ("o1", e2, ["crm"], 1, 2)]
    conflicts = told.rows(world, "order_conflicts", "order_id", "contact_id", "sources", "event_count", "contacts")
    assert [(*row[:2], list(row[2]), *row[3:]) for row in conflicts] == sorted(expected)


def test_a_newer_version_with_another_email_moves_the_event(told: Told) -> None:
    assert len(told.contacts("moves-to-another-contact", before=True)) == 2
    assert len(told.contacts("moves-to-another-contact")) == 1
    entries = told.rows("moves-to-another-contact", "contact_timeline", "event_name", "entry_type")
    assert entries == [("lead.made", "event"), ("page.seen", "event"), ("page.seen", "event.updated")]


def test_a_late_bridge_makes_one_contact_of_two_and_the_older_id_stays(told: Told) -> None:
    older, newer = (
        contact
        for contact, _ in sorted(
            told.rows("late-bridge", "contacts", "contact_id", "first_seen_at", before=True), key=lambda row: row[1]
        )
    )
    assert told.contacts("late-bridge") == [older]
    assert newer not in {contact for (contact,) in told.rows("late-bridge", "events", "contact_id")}
    assert told.rows("late-bridge", "contacts", "event_count") == [(3,)]


def test_an_anonymous_id_that_becomes_known_takes_its_past_with_it(told: Told) -> None:
    assert told.contacts("becomes-known") == told.contacts("becomes-known", before=True)
    assert told.rows("becomes-known", "contacts", "customer_id", "is_anonymous", "event_count") == [("c1", False, 3)]


def test_a_late_event_can_take_a_device_from_who_held_it(told: Told) -> None:
    """No event of the first holder changes, but the device stands with the other one now."""
    held = ("identifier_value",)
    assert told.rows("device-was-somebody-elses", "contact_identifiers", *held, before=True) == [("a1",), ("c1",)]
    assert told.rows("device-was-somebody-elses", "contact_identifiers", *held) == [("a1",), ("c1",), ("c2",)]


def test_a_deleted_event_is_shown_with_its_strongest_identifier_that_somebody_holds(told: Told) -> None:
    world = "deleted-one-is-held-later"
    (deleted,) = (
        contact for contact, state in told.rows(world, "events", "contact_id", "deletion") if state == "deleted"
    )
    (holder,) = (
        contact
        for contact, value in told.rows(world, "contact_identifiers", "contact_id", "identifier_value")
        if value == "c1"
    )
    assert deleted == holder
    assert told.rows(world, "contact_timeline", "contact_id", "entry_type").count((holder, "event.deleted")) == 1


def test_an_event_counts_when_as_of_has_passed_it(told: Told) -> None:
    assert told.rows("future", "event_versions", "event_name", "status", before=True) == [
        (ORDER, "future"),
        ("page.seen", "current"),
    ]
    assert told.rows("future", "contacts", "event_count", before=True) == [(1,)]
    assert told.rows("future", "contact_goals", "value_sum", before=True) == []
    assert told.rows("future", "contact_rfm", "monetary", before=True) == []
    assert told.rows("future", "contacts", "event_count") == [(3,)]
    assert told.rows("future", "contact_goals", "value_sum") == [(Decimal(10),)]


def test_a_version_counts_when_as_of_has_passed_it(told: Told) -> None:
    columns = ("event_name", "email", "version_count")
    assert told.rows("future-version", "events", *columns, before=True) == [("page.seen", E1[1], 1)]
    assert told.rows("future-version", "events", *columns) == [("lead.made", E1[1], 1), ("page.seen", E2[1], 2)]


def test_the_first_landed_version_stays_where_the_first_one_wins(told: Told) -> None:
    assert told.rows("first-wins", "events", "customer_id", "value", "occurred_at", "version_count") == [
        ("c1", Decimal(10), at(1), 2)
    ]


def test_a_restored_event_counts_again(told: Told) -> None:
    assert told.rows("restored", "contacts", "event_count", before=True) == []
    assert told.rows("restored", "contact_goals", "event_count", "value_sum") == [(1, Decimal(10))]
    entries = told.rows("restored", "contact_timeline", "entry_type")
    assert entries == [("event",), ("event.deleted",), ("event.restored",)]


def test_a_newer_version_without_a_goal_keeps_the_goal(told: Told) -> None:
    assert told.rows("goal-is-kept", "events", "occurred_at", "goal_type", "value") == [(at(2), "lead", Decimal(5))]


def test_deleting_an_unknown_event_creates_no_contact(told: Told) -> None:
    assert told.contacts("unknown-is-deleted") == []
    assert told.rows("unknown-is-deleted", "events", "deletion", "contact_id") == [("deleted", None)]
