"""Who enters and leaves, run by run: judging only whom a run concerns is as good as judging everyone (spec 3)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.errors import AuditHeld
from eventpipe.ops import memberships
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project, load_project
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


@pytest.mark.parametrize("seed", [1, 2])
def test_judging_whom_a_run_concerns_is_judging_everyone(tmp_path: Path, seed: int) -> None:
    """Orders land late and out of order, contacts merge, windows turn, and some runs have nothing to land."""
    chance = random.Random(seed)
    shop = Shop(project(tmp_path / "shop", segments=SEGMENTS))
    as_of = START
    for step in range(5):
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
        if step in (2, 4):
            assert members(shop) == judged_for_everyone(shop, tmp_path / f"fresh{step}", as_of), step
        as_of += chance.choice([timedelta(hours=6), DAY, 3 * DAY])
    before = episodes(shop)
    shop.run(as_of - timedelta(hours=1), full_refresh=True)
    lost = [row for row in before if row not in episodes(shop) and row[3] is not None]
    assert not lost, "a rebuild reads the history back from the ops store"


def test_members_enter_and_leave_at_the_instants_of_the_runs(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    export(shop.project, [order("c1", START - DAY)])
    for step in (0, 3, 6):
        shop.run(START + step * DAY)
    export(shop.project, [order("c1", START + 6 * DAY)], name="again.jsonl")
    shop.run(START + 7 * DAY)
    assert episodes(shop) == [
        ("recent", "c1", START, START + 6 * DAY),
        ("recent", "c1", START + 7 * DAY, None),
    ]
    entries = [
        (row["entry_type"], row["occurred_at"], json.loads(row["properties"]))
        for row in published(shop.project, "contact_timeline")
        if row["entry_type"].startswith("segment.")
    ]
    assert sorted(entries, key=repr) == sorted(
        [
            ("segment.entered", START, {"segment": "recent"}),
            ("segment.left", START + 6 * DAY, {"segment": "recent"}),
            ("segment.entered", START + 7 * DAY, {"segment": "recent"}),
        ],
        key=repr,
    )


def test_an_event_after_as_of_makes_nobody_a_member(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    export(shop.project, [order("c1", START + timedelta(hours=1)), order("c2", START)])
    shop.run(START)
    assert members(shop) == {("recent", "c2")}
    shop.run(START + timedelta(hours=2))
    assert members(shop) == {("recent", "c1"), ("recent", "c2")}


def test_a_run_of_the_past_shows_that_day_and_records_nothing(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    export(shop.project, [order("c1", START - DAY)])
    for step in (0, 6):
        shop.run(START + step * DAY)
    shop.run(START + DAY)
    assert episodes(shop) == [("recent", "c1", START, None)]
    shop.run(START + 7 * DAY)
    assert episodes(shop) == [("recent", "c1", START, START + 6 * DAY)]


def test_a_definition_that_is_edited_is_judged_for_everyone(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:2]))
    export(shop.project, [order("c1", START - DAY, 50), order("c2", START - DAY, 150)])
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


def test_memberships_follow_a_merge(tmp_path: Path) -> None:
    """c1 and the address were two members; then they are one person, who is a member since the earlier instant."""
    shop = Shop(project(tmp_path, segments=SEGMENTS[:2]))
    export(shop.project, [order("c1", START - DAY, 150)])
    shop.run(START)
    by_mail = order("", START + timedelta(hours=1), 10, customer_id=None, email="c1@example.com")
    export(shop.project, [by_mail], name="mail.jsonl")
    shop.run(START + DAY)
    assert episodes(shop) == [
        ("recent", "c1", START, None),
        ("recent", "c1@example.com", START + DAY, None),
        ("worthy", "c1", START, None),
    ]
    known = event(customer_id="c1", email="c1@example.com", occurred_at=(START - 20 * DAY).isoformat())
    export(shop.project, [known], name="known.jsonl")
    shop.run(START + 2 * DAY)
    merged = [("recent", "c1", START, None), ("worthy", "c1", START, None)]
    assert episodes(shop) == merged
    shop.run(START + 2 * DAY, full_refresh=True)
    assert episodes(shop) == merged, "the journal tells the same"
    shop.run(START + 9 * DAY)
    assert episodes(shop) == [("recent", "c1", START, START + 9 * DAY), ("worthy", "c1", START, None)]


def test_who_is_gone_is_a_member_of_nothing(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    path = export(shop.project, [order("c1", START - DAY), order("c2", START - DAY)])
    shop.run(START)
    path.write_bytes(json.dumps(order("c2", START - DAY)).encode() + b"\n")
    shop.run(START + DAY)
    assert episodes(shop) == [("recent", "c2", START, None), ("recent", None, START, START + DAY)]


class Held(Refresh):
    """A run whose audit finds something."""

    def audit(self) -> Any:
        raise AuditHeld("held")


def test_what_an_audit_holds_back_never_happened(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    export(shop.project, [order("c1", START - DAY)])
    shop.run(START)
    export(shop.project, [order("c2", START)], name="more.jsonl")
    with (
        pytest.raises(AuditHeld),
        Held(shop.project, RunRequest("held", as_of=START + DAY), now, dbt=shop.dbt) as refresh,
    ):
        refresh.everything()
    assert episodes(shop) == [("recent", "c1", START, None)]
    shop.run(START + 2 * DAY)
    assert episodes(shop) == [("recent", "c1", START, None), ("recent", "c2", START + 2 * DAY, None)]
    with OpsStore.open(shop.project.ops) as store:
        changes = list(memberships.journal(store, START + 9 * DAY))
    assert [(each.segment, each.as_of, each.frame.height) for each in changes] == [
        ("recent", START, 1),
        ("recent", START + 2 * DAY, 1),
    ]


def test_a_run_that_ends_after_the_models_loses_nobody(tmp_path: Path) -> None:
    """Whom it touched waits for the next judgement."""
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    export(shop.project, [order("c1", START - DAY)])
    shop.run(START)
    export(shop.project, [order("c2", START)], name="more.jsonl")
    with shop.refresh(START + DAY) as refresh:
        for stage in (refresh.land, refresh.resolve, refresh.identify, refresh.model):
            stage()
    shop.run(START + 2 * DAY)
    assert members(shop) == {("recent", "c1"), ("recent", "c2")}


def test_a_run_with_nothing_to_land_judges_only_whom_a_window_turned_for(tmp_path: Path) -> None:
    shop = Shop(project(tmp_path, segments=SEGMENTS[:1]))
    export(shop.project, [order(f"c{number}", START - number * DAY) for number in range(5)])
    shop.run(START)
    judged = _judged(shop, START + DAY)
    assert (judged.contacts, judged.left) == (1, 1)
    assert _judged(shop, START + DAY).contacts <= 1


def _judged(shop: Shop, as_of: datetime) -> Any:
    with shop.refresh(as_of) as refresh:
        stages: Sequence[Any] = (refresh.land, refresh.resolve, refresh.identify, refresh.model)
        for stage in stages:
            stage()
        judgement = refresh.segment()
        refresh.audit()
        refresh.decide()
        refresh.publish()
    return judgement


def test_a_project_without_segments_has_the_tables(tmp_path: Path) -> None:
    shop = Shop(load_project(project(tmp_path).root, {}))
    export(shop.project, [order("c1", START)])
    tables = shop.run(START)
    assert tables["segment_members"].rows.total() == 0
    assert published(shop.project, "segment_history") == []
