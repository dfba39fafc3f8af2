"""Run by run over random worlds: the segment stage has whom the slow reference finds, however few contacts it judges.

Time goes by in steps that end at the edges of windows; events come up, land late and are deleted, scores change of
contacts that nothing happened to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventpipe.ops import lease as leases
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.segments import history
from eventpipe.segments.judge import judge
from eventpipe_tests.segments.asked import Engine, names, read
from eventpipe_tests.segments.random_worlds import AS_OF, EDGES, conditions, scores, worlds
from eventpipe_tests.segments.reference import Contact, Definition, Event, World

RUN = "published"
Scores = Mapping[str, Mapping[str, Any]]
"""Rows of contact_rfm by currency."""


@dataclass(frozen=True)
class Told:
    """A world as runs come to know it: the instants of the runs; of each event the first run that has it, and the one
    from which it is deleted; each run's scores, by contact."""

    world: World
    instants: tuple[datetime, ...]
    landed: tuple[int, ...]
    deleted: tuple[int, ...]
    scores: tuple[tuple[Scores, ...], ...]

    def at(self, step: int) -> World:
        """What is true as of a run: of everything that has landed by then."""
        as_of = self.instants[step]
        events = [
            replace(event, deletion="deleted") if gone <= step else event
            for event, since, gone in zip(self.world.events, self.landed, self.deleted, strict=True)
            if since <= step and event.occurred_at <= as_of
        ]
        contacts = [
            replace(contact, rfm=rfm)
            for contact, rfm in zip(self.world.contacts, self.scores[step], strict=True)
            if contact.first_seen_at <= as_of
        ]
        known = {contact.contact_id for contact in contacts}
        return replace(self.world, contacts=contacts, events=[e for e in events if e.contact_id in known], as_of=as_of)


@st.composite
def told(draw: st.DrawFn, runs: int = 3) -> Told:
    world = draw(worlds())
    lengths = sorted(draw(st.lists(st.sampled_from(EDGES), min_size=runs - 1, max_size=runs - 1)), reverse=True)
    # In some worlds nothing lands but at first: only time and scores change anybody.
    step, gone = draw(
        st.sampled_from([(st.integers(0, runs - 1), st.integers(1, 3 * runs)), (st.just(0), st.just(runs))])
    )
    count = len(world.events)
    return Told(
        world,
        (*(AS_OF - length for length in lengths), AS_OF),
        tuple(draw(st.lists(step, min_size=count, max_size=count))),
        tuple(draw(st.lists(gone, min_size=count, max_size=count))),
        tuple(tuple(draw(scores) for _ in world.contacts) for _ in range(runs)),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsStore]:
    """An ops store that knows the run of all steps as published."""
    folder: Path = tmp_path_factory.mktemp("judged")
    with OpsStore.open(folder / "ops.sqlite") as opened:
        lease = leases.acquire(opened, RUN, now=lambda: AS_OF, wait=timedelta(0))
        with lease.begin() as connection:
            run = runs.start(
                connection, lease, kind="run", as_of=AS_OF, full_refresh=False, eventpipe_version="1", now=AS_OF
            )
            runs.finish(connection, lease, run.ended("published", now=AS_OF))
        yield opened


def touched(before: World | None, after: World) -> set[str]:
    """Contacts that came, or of whose events something changed; what they spent changes with nothing else."""
    known: set[object] = set()
    if before is not None:
        known = {_spent(each) for each in before.contacts} | {_shown(each) for each in before.events}
    changed = {each.contact_id for each in after.events if _shown(each) not in known}
    return changed | {each.contact_id for each in after.contacts if _spent(each) not in known}


def _spent(contact: Contact) -> tuple[object, ...]:
    rows = sorted((contact.rfm or {}).items())
    return contact.contact_id, *(
        (currency, row["monetary"], row["frequency"]) for currency, row in rows if "monetary" in row
    )


def _shown(event: Event) -> tuple[str, str]:
    return event.event_id, event.deletion


def with_segments(world: World) -> Engine:
    """The world's tables, and those that the stage has besides."""
    engine = Engine(world)
    history.prepare(engine.connection)
    engine.connection.execute("create table work.unjudged_contacts (workspace_id varchar, contact_id varchar)")
    engine.connection.execute(
        "create table contact_aliases (workspace_id varchar, alias_id varchar, contact_id varchar)"
    )
    return engine


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(told=told(), where=conditions, other=conditions)
def test_each_run_has_the_members_of_its_instant(
    store: OpsStore, told: Told, where: Definition, other: Definition
) -> None:
    assert_members_of_each_instant(store, told, where, other)


@pytest.mark.soak
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(told=told(runs=4), where=conditions, other=conditions)
def test_each_of_many_runs_has_the_members_of_its_instant(
    store: OpsStore, told: Told, where: Definition, other: Definition
) -> None:
    assert_members_of_each_instant(store, told, where, other)


def assert_members_of_each_instant(store: OpsStore, told: Told, where: Definition, other: Definition) -> None:
    """Run by run, of a definition, its complement, and one that names both."""
    definitions: dict[str, Definition] = {
        "it": where,
        "not_it": {"not": where},
        "others": {"any": [{"all": [{"not": {"segment": "it"}}, other]}, {"segment": "not_it"}]},
    }
    segments = read(definitions, names(told.world))
    before: World | None = None
    engine = with_segments(told.at(0))
    try:
        for step, as_of in enumerate(told.instants):
            world = told.at(step)
            engine.show(world)
            for contact_id in sorted(touched(before, world)):
                engine.connection.execute("insert into work.unjudged_contacts values ('default', $1)", [contact_id])
            judge(engine.connection, store, segments, run_id=RUN, as_of=as_of)
            for name in definitions:
                found = engine.connection.execute(
                    "select contact_id from segment_members where segment = $1 order by all", [name]
                ).fetchall()
                assert [contact_id for (contact_id,) in found] == sorted(world.members(definitions, name)), (step, name)
            before = world
    finally:
        engine.close()


def test_a_run_with_nothing_to_land_judges_only_whom_a_window_turned_for(store: OpsStore) -> None:
    contacts = [Contact(f"k{days}", AS_OF - timedelta(days)) for days in range(5)]
    orders = [
        Event(each.contact_id, f"e{each.contact_id}", "order", each.first_seen_at, "purchase") for each in contacts
    ]
    world = World(contacts, orders, AS_OF)
    segments = read({"recent": {"goal": "purchase", "in_last": "5d"}}, names(world))
    engine = with_segments(world)
    try:
        first, next_day, again = (
            judge(engine.connection, store, segments, run_id=RUN, as_of=as_of)
            for as_of in (AS_OF, AS_OF + timedelta(days=1), AS_OF + timedelta(days=1))
        )
    finally:
        engine.close()
    assert (first.whole_segments, first.entered) == (1, 5)
    assert (next_day.whole_segments, next_day.contacts, next_day.left) == (0, 1, 1)
    assert (again.whole_segments, again.entered, again.left) == (0, 0, 0)
    assert again.contacts <= 1


@pytest.mark.parametrize("left_at", [None, AS_OF + timedelta(days=1)], ids=["members", "who were"])
def test_memberships_that_began_and_ended_together_become_one_in_a_merge(left_at: datetime | None) -> None:
    """As those of everybody whom one run found. So many, for the engine orders what is alike as it likes."""
    engine, pairs = with_segments(World([], [], AS_OF)), 400
    sql = engine.connection
    try:
        sql.execute(
            "insert into contacts by name select 'default' as workspace_id, 'k' || i as contact_id from range($1) t(i)",
            [pairs],
        )
        sql.execute(
            "insert into segment_history by name select 'seen' as segment, 'default' as workspace_id, prefix || i as contact_id,"
            " $1::timestamptz as entered_at, $2::timestamptz as left_at, 'first' as run_entered,"
            " case when $2 is not null then 'second' end as run_left"
            " from range($3) t(i), (values ('k'), ('old')) as p(prefix)",
            [AS_OF, left_at, pairs],
        )
        gone = "select 'default' as workspace_id, 'old' || i as contact_id from range(400) t(i)"
        history.begin_changes(sql)
        moved = history.follow_merges(
            sql,
            gone,
            f"select workspace_id, contact_id as alias_id, replace(contact_id, 'old', 'k') as contact_id from ({gone})",
            AS_OF + timedelta(days=2),
        )
        found = sql.execute("select count(*), count(distinct contact_id) from segment_history").fetchone()
    finally:
        engine.close()
    assert moved == pairs
    assert found == (pairs, pairs)


def test_who_can_only_leave_is_judged_only_if_a_member_and_the_reverse(store: OpsStore) -> None:
    """A day later every order has left the window of a day, and one contact's cheap order that of two days."""
    contacts = [Contact(name, AS_OF) for name in ("dear", "cheap", "better", "nothing")]
    orders = [
        Event("dear", "e1", "order", AS_OF, "purchase", value=Decimal(50), currency="USD"),
        Event("cheap", "e2", "order", AS_OF, "purchase", value=Decimal(5), currency="USD"),
        Event("better", "e3", "order", AS_OF - timedelta(days=1), "purchase", value=Decimal(5), currency="USD"),
        Event("better", "e4", "order", AS_OF - timedelta(hours=1), "purchase", value=Decimal(50), currency="USD"),
    ]
    world = World(contacts, orders, AS_OF)
    dear = {"goal": "purchase", "in_last": "1d", "where": {"value": {"gte": 50}}}
    judged = {}
    asked: dict[str, Definition] = {
        "falls": {"all": [dear, {"goal": "purchase", "in_last": "1d"}]},
        "rises": {"not": {"goal": "purchase", "in_last": "1d"}},
        "either": {"goal": "purchase", "in_last": "1d", "equals": 1},
        "empties": {"goal": "purchase", "in_last": "1d", "at_most": 0},
        "mean": {"goal": "purchase", "aggregate": "avg", "in_last": "2d", "at_least": 50},
        "fixed": {"goal": "purchase", "after": "2026-01-01"},
        "scored": {"rfm": "monetary", "more_than": 10},
    }
    for name, where in asked.items():
        segments = read({name: where}, names(world))
        engine = with_segments(world)
        try:
            for day in range(2):
                judged[name] = judge(engine.connection, store, segments, run_id=RUN, as_of=AS_OF + timedelta(days=day))
        finally:
            engine.close()
    counts = {name: (each.contacts, each.entered, each.left) for name, each in judged.items()}
    assert counts == {
        "falls": (2, 0, 2),
        "rises": (3, 3, 0),
        "either": (3, 0, 3),
        "empties": (3, 3, 0),
        "mean": (1, 1, 0),
        "fixed": (0, 0, 0),
        "scored": (0, 0, 0),
    }


def test_definitions_that_look_at_the_same_events_through_other_windows_share_them(store: OpsStore) -> None:
    """Whoever comes last: what they read is gathered once, since the earliest window."""
    events = [Event("k1", f"e{hours}", "visit", AS_OF - timedelta(hours=hours)) for hours in (1, 5, 20)]
    world = World([Contact("k1", AS_OF - timedelta(hours=20))], events, AS_OF)
    visits = {
        name: {"event": "visit", "in_last": name[1:], "at_least": count}
        for name, count in (("a6h", 2), ("b1d", 3), ("c2h", 1))
    }
    engine = with_segments(world)
    try:
        judged = judge(engine.connection, store, read(visits, names(world)), run_id=RUN, as_of=AS_OF)
    finally:
        engine.close()
    assert judged.entered == 3


def test_whose_score_changed_is_judged_again_though_nothing_happened_to_them(store: OpsStore) -> None:
    """Others bought more: a score sinks."""

    def scored(score: int) -> World:
        rfm = {"USD": {"r_score": score, "rfm_score": f"{score}11", "rfm_segment": "Others"}}
        return World([Contact("k1", AS_OF, rfm=rfm), Contact("k2", AS_OF)], [], AS_OF)

    segments = read({"fresh": {"rfm": "r_score", "at_least": 4}}, names(scored(5)))
    engine = with_segments(scored(3))
    try:
        judgements = []
        for day, score in enumerate((3, 4, 5, 1)):
            engine.show(scored(score))
            judgements.append(judge(engine.connection, store, segments, run_id=RUN, as_of=AS_OF + timedelta(days=day)))
    finally:
        engine.close()
    assert [(each.entered, each.left) for each in judgements] == [(0, 0), (1, 0), (0, 0), (0, 1)]
    assert [each.contacts for each in judgements[1:]] == [1, 0, 1], "4 or 5 is the same to the condition"
