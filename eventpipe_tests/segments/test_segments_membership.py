"""Who enters and leaves, run by run, through the whole pipeline.

One shop is run day after day, and everything happens in it; each test tells one customer's story. Whom a run judges is
held against the reference in `test_segments_judge`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.errors import AuditHeld
from eventpipe.ops import memberships
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe.refresh import Refresh, RunRequest
from eventpipe_tests.builders import event, project
from eventpipe_tests.builders import export as export_of_a_day
from eventpipe_tests.pipeline.published import read_table
from eventpipe_tests.pipeline.shop import Shop, now

START = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)

SEGMENTS: list[Mapping[str, object]] = [
    {"name": "recent", "where": {"goal": "purchase", "in_last": "5d"}},
    {"name": "worthy", "where": {"goal": "purchase", "aggregate": "sum", "at_least": 100}},
    {"name": "lapsed", "where": {"all": [{"goal": "purchase"}, {"not": {"segment": "recent"}}]}},
    {"name": "grown", "where": {"contact": "age", "at_least": "4d"}},
    {"name": "champions", "where": {"rfm": "Champions"}},
    {"name": "waiting", "where": {"event": "checkout", "in_last": "2d", "without": {"event": "order", "after": "it"}}},
    {
        "name": "first_dear",
        "where": {"goal": "purchase", "first": True, "aggregate": "sum", "more_than": 50, "in_last": "6d"},
    },
    {"name": "nobody", "where": {"goal": "lead"}},
]


def export(made: Project, records: Iterable[object], name: str = "events.jsonl") -> Path:
    """An export that landed later than everything in these tests happened."""
    return export_of_a_day(made, records, name=name, day=date(2026, 2, 20))


def order(customer: str, at: datetime, value: float = 10, **fields: object) -> dict[str, object]:
    told = {
        "event_name": "order",
        "customer_id": customer,
        "occurred_at": at.isoformat(),
        "goal_type": "purchase",
        "value": value,
    }
    return event(**(told | fields))


def published(made: Project, table: str) -> list[dict[str, Any]]:
    """All of it, also what only runs can tell."""
    with duckdb.connect(str(made.analytics), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return read_table(connection, table).records()


def members(shop: Shop) -> set[tuple[str, str]]:
    """Segment and customer."""
    tables = shop.tables()
    customers = {row["contact_id"]: row["customer_id"] or row["email"] for row in tables["contacts"].records()}
    return {(row["segment"], customers[row["contact_id"]]) for row in tables["segment_members"].records()}


def episodes(shop: Shop) -> list[tuple[Any, ...]]:
    """Segment, customer, entered and left."""
    customers = {row["contact_id"]: row["customer_id"] or row["email"] for row in shop.tables()["contacts"].records()}
    rows = [
        (row["segment"], customers.get(row["contact_id"]), row["entered_at"], row["left_at"])
        for row in published(shop.project, "segment_history")
    ]
    return sorted(rows, key=repr)


def judged_for_everyone(shop: Shop, folder: Path, as_of: datetime) -> set[tuple[str, str]]:
    """The members that another project finds which has the same exports, and runs for the first time."""
    other = project(folder, segments=SEGMENTS)
    for path in sorted(shop.project.exports.glob("*/*/*")):
        target = other.exports / path.relative_to(shop.project.exports)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    fresh = Shop(other)
    fresh.run(as_of)
    return members(fresh)


class Held(Refresh):
    """A run whose audit finds something."""

    def audit(self) -> Any:
        raise AuditHeld("held")


@dataclass(frozen=True)
class Story:
    """The shop after its runs, and what was published after each of them: episodes, members, entries of the timeline."""

    shop: Shop
    episodes: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    members: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def tell(self, day: str) -> None:
        self.episodes[day] = episodes(self.shop)
        self.members[day] = members(self.shop)

    def of(self, *customers: str | None, day: str) -> list[tuple[Any, ...]]:
        """Episodes of these customers in two of the segments."""
        return [row for row in self.episodes[day] if row[1] in customers and row[0] in ("recent", "worthy")]


MAIL = "merged@example.com"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    shop = Shop(project(tmp_path_factory.mktemp("story"), segments=SEGMENTS))
    told = Story(shop)

    def run(day: int, name: str = "", **options: Any) -> None:
        shop.run(START + day * DAY, **options)
        told.tell(name or str(day))

    export(
        shop.project,
        [
            order("regular", START - DAY),
            order("early", START + timedelta(hours=1)),
            order("in time", START),
            order("merged", START - DAY, 150),
        ],
    )
    leaving = export(shop.project, [order("gone", START - DAY), order("stays", START - DAY)], name="leaving.jsonl")
    run(0)
    by_mail = order("", START + timedelta(hours=1), 10, customer_id=None, email=MAIL)
    export(shop.project, [by_mail], name="mail.jsonl")
    leaving.write_bytes(json.dumps(order("stays", START - DAY)).encode() + b"\n")
    run(1)
    known = event(customer_id="merged", email=MAIL, occurred_at=(START - 20 * DAY).isoformat())
    export(shop.project, [known], name="known.jsonl")
    run(2)
    run(2, "rebuilt", full_refresh=True)
    export(shop.project, [order("held", START + 3 * DAY)], name="held.jsonl")
    with (
        pytest.raises(AuditHeld),
        Held(shop.project, RunRequest("held", as_of=START + 3 * DAY), now, dbt=shop.dbt) as held,
    ):
        held.everything()
    told.tell("held")
    run(6)
    export(shop.project, [order("regular", START + 6 * DAY)], name="again.jsonl")
    run(7)
    export(shop.project, [order("stopped", START + 7 * DAY)], name="stopped.jsonl")
    with shop.refresh(START + 8 * DAY) as stopped:
        for stage in (stopped.land, stopped.resolve, stopped.identify, stopped.model):
            stage()
    run(1, "of the past")
    run(10)
    return told


def test_members_enter_and_leave_at_the_instants_of_the_runs(story: Story) -> None:
    assert story.of("regular", day="10") == [
        ("recent", "regular", START, START + 6 * DAY),
        ("recent", "regular", START + 7 * DAY, None),
    ]
    customers = {row["contact_id"]: row["customer_id"] for row in story.shop.tables()["contacts"].records()}
    entries = [
        (row["entry_type"], row["occurred_at"])
        for row in published(story.shop.project, "contact_timeline")
        if row["entry_type"].startswith("segment.")
        and customers.get(row["contact_id"]) == "regular"
        and json.loads(row["properties"]) == {"segment": "recent"}
    ]
    assert sorted(entries) == sorted(
        [
            ("segment.entered", START),
            ("segment.left", START + 6 * DAY),
            ("segment.entered", START + 7 * DAY),
        ]
    )


def test_an_event_after_as_of_makes_nobody_a_member(story: Story) -> None:
    assert {("recent", "early"), ("recent", "in time")} & story.members["0"] == {("recent", "in time")}
    assert {("recent", "early"), ("recent", "in time")} <= story.members["1"]


def test_a_run_of_the_past_shows_that_day_and_records_nothing(story: Story) -> None:
    assert story.of("regular", "in time", day="of the past") == story.of("regular", "in time", day="1")
    assert story.of("in time", day="10") == [("recent", "in time", START, START + 6 * DAY)]


def test_memberships_follow_a_merge(story: Story) -> None:
    """The customer and the address were two members; then they are one person, a member since the earlier instant."""
    assert story.of("merged", MAIL, day="1") == [
        ("recent", "merged", START, None),
        ("recent", MAIL, START + DAY, None),
        ("worthy", "merged", START, None),
    ]
    merged = [("recent", "merged", START, None), ("worthy", "merged", START, None)]
    assert story.of("merged", MAIL, day="2") == merged
    assert story.of("merged", MAIL, day="rebuilt") == merged, "the journal tells the same"
    assert story.of("merged", MAIL, day="10") == [
        ("recent", "merged", START, START + 6 * DAY),
        ("worthy", "merged", START, None),
    ]


def test_who_is_gone_is_a_member_of_nothing(story: Story) -> None:
    assert story.of("gone", "stays", day="0") == [("recent", "gone", START, None), ("recent", "stays", START, None)]
    assert story.of(None, "stays", day="1") == [("recent", "stays", START, None), ("recent", None, START, START + DAY)]


def test_what_an_audit_holds_back_never_happened(story: Story) -> None:
    assert story.episodes["held"] == story.episodes["rebuilt"]
    assert story.of("held", day="6") == [("recent", "held", START + 6 * DAY, None)]
    with OpsStore.open(story.shop.project.ops) as store:
        instants = {each.as_of for each in memberships.journal(store, START + 99 * DAY)}
    assert START + 3 * DAY not in instants
    assert {START, START + 6 * DAY} <= instants


def test_a_run_that_ends_after_the_models_loses_nobody(story: Story) -> None:
    """Whom it touched waits for the next judgement."""
    assert story.of("stopped", day="10") == [("recent", "stopped", START + 10 * DAY, None)]


def test_definitions_that_are_new_or_edited_are_judged_for_everyone(tmp_path: Path) -> None:
    """In a project that had none at first, and yet the tables."""
    shop = Shop(project(tmp_path))
    export(shop.project, [order("c1", START - DAY, 50), order("c2", START - DAY, 150)])
    assert shop.run(START)["segment_members"].rows.total() == 0
    assert published(shop.project, "segment_history") == []
    shop = Shop(project(tmp_path, segments=SEGMENTS[:2]))
    shop.run(START)
    assert members(shop) == {("recent", "c1"), ("recent", "c2"), ("worthy", "c2")}
    edited = {"name": "worthy", "where": {"goal": "purchase", "aggregate": "sum", "at_least": 50}}
    new = {"name": "both", "where": {"all": [{"segment": "worthy"}, {"contact": "age", "at_least": "1d"}]}}
    shop = Shop(project(tmp_path, segments=[edited, new]))
    shop.run(START + DAY)
    assert episodes(shop) == sorted(
        [
            ("recent", "c1", START, START + DAY),
            ("recent", "c2", START, START + DAY),
            ("worthy", "c1", START + DAY, None),
            ("worthy", "c2", START, None),
            ("both", "c1", START + DAY, None),
            ("both", "c2", START + DAY, None),
        ],
        key=repr,
    )


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 8))
def test_judging_whom_a_run_concerns_is_judging_everyone(tmp_path: Path, seed: int) -> None:
    """Orders land late and out of order, contacts merge, windows turn, and some runs have nothing to land."""
    chance = random.Random(seed)
    shop = Shop(project(tmp_path / "shop", segments=SEGMENTS))
    as_of = START
    for step in range(4):
        if chance.random() < 0.8:
            records = []
            for _ in range(chance.randrange(3, 15)):
                customer = f"c{chance.randrange(8)}"
                at = as_of - chance.choice([DAY, 2 * DAY, 5 * DAY, timedelta(hours=2), -timedelta(hours=30)])
                records.append(
                    chance.choice(
                        [
                            order(customer, at, chance.choice([-20, 10, 60, 100])),
                            event(event_name="checkout", customer_id=customer, occurred_at=at.isoformat()),
                            order(customer, at, 60, customer_id=None, email=f"{customer}@example.com"),
                            event(customer_id=customer, email=f"{customer}@example.com", occurred_at=at.isoformat()),
                        ]
                    )
                )
            export(shop.project, records, name=f"{step}.jsonl")
        shop.run(as_of)
        if step == 3:
            assert members(shop) == judged_for_everyone(shop, tmp_path / f"fresh{step}", as_of), step
        as_of += chance.choice([timedelta(hours=6), DAY, 3 * DAY])
    before = episodes(shop)
    shop.run(as_of - timedelta(hours=1), full_refresh=True)
    lost = [row for row in before if row not in episodes(shop) and row[3] is not None]
    assert not lost, "a rebuild reads the history back from the ops store"
