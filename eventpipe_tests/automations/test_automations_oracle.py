"""Random stories, decided by the step and by a reading of the specification that shares no code with it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from eventpipe.ops import holds
from eventpipe.ops import lease as leases
from eventpipe_tests.automations.oracle import Event, Facts, Oracle
from eventpipe_tests.automations.random_stories import Chapter, Put, Story, stories
from eventpipe_tests.automations.world import World, at

FEW = settings(max_examples=12, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=1200, derandomize=False)


class Telling:
    """A story as it happens to a world; `order` shuffles what lands between two runs."""

    def __init__(self, folder: Path, story: Story, order: random.Random | None = None) -> None:
        self.world = World(folder, [*story.automations])
        self.hours = 10.0
        self.quiet: set[str] = set()
        self._order = order
        self._ids: list[str] = []
        self._breaches = 0

    def begin(self, chapter: Chapter) -> None:
        """All that happens before the run."""
        world = self.world
        self.hours += chapter.hours
        puts = [(f"e{len(self._ids) + number:03}", put) for number, put in enumerate(chapter.puts)]
        self._ids += [event_id for event_id, _ in puts]
        if self._order is not None:
            self._order.shuffle(puts)
        for event_id, put in puts:
            self._put(event_id, put)
        if chapter.merge is not None and len({world.current(each) for each in chapter.merge}) == 2:
            old, new = (world.current(each) for each in chapter.merge)
            world.merged[old] = new
        for place, change in (
            (chapter.delete, {"deletion": "deleted"}),
            (chapter.restore, {"deletion": "restored"}),
            (chapter.revalue, {"value": 60}),
        ):
            if place is not None and (chosen := self._chosen(place)):
                world.events[chosen] |= change
        if chapter.purge is not None and (gone := self._chosen(chapter.purge)):
            del world.events[gone]
        world.members = set(chapter.members)
        world.traits = {world.current(each): {"plan": plan} for each, plan in sorted(chapter.plans.items())}
        self._hold(chapter.held)
        if chapter.change is not None:
            place, definition = chapter.change
            name = f"n{place}"
            world.automations = [each for each in world.automations if each["name"] != name]
            world.automations += [definition] if definition is not None else []
        if chapter.rebuilds:
            world.rebuild()

    def run(self, **how: bool) -> None:
        """One run."""
        self.world.run(self.hours, **how)

    def facts(self) -> Facts:
        """What the run will know, as plain lists."""
        world, as_of = self.world, at(self.hours)
        events = [
            Event(
                each["event_id"],
                each["event_name"],
                each["contact_id"] and world.current(each["contact_id"]),
                each["occurred_at"],
                float(each["value"]),
                _cart(each),
                each["source"],
                each["deletion"] == "deleted",
                each["event_id"] in self.quiet,
            )
            for each in world.events.values()
            if each["occurred_at"] <= as_of
        ]
        plans = {contact: traits["plan"] for contact, traits in world.traits.items()}
        members = frozenset(world.current(each) for each in world.members)
        with world.store.read() as reading:
            held = frozenset(holds.all_held(reading))
        return Facts(as_of, events, dict(world.merged), plans, members, world.changes(), held)

    def outcomes(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """Status and reason by automation and occasion."""
        names = {f"n{number}" for number in range(3)}
        return {(name, occasion): outcome for name in names for occasion, outcome in self.world.decisions(name).items()}

    def fired(self) -> list[tuple[Any, ...]]:
        """Automation, contact, occasion, instant of each trigger."""
        return sorted(
            (each["automation"], each["contact_id"], each["occasion"], each["fired_at"]) for each in self.world.fired()
        )

    def _put(self, event_id: str, put: Put) -> None:
        before = max(put.before, 0.0) if put.is_quiet else put.before
        deletion = "deleted" if put.is_deleted else "unchanged"
        properties = {} if put.cart is None else {"cart_id": put.cart}
        self.world.put(
            put.name,
            put.contact,
            self.hours - before,
            event_id=event_id,
            value=put.value,
            source=put.source,
            deletion=deletion,
            properties=properties,
            line=int(event_id[1:]),
        )
        if put.is_quiet:
            self.world.quieten(lines=[int(event_id[1:])], source=put.source)
            self.quiet.add(event_id)

    def _chosen(self, place: int) -> str | None:
        there = [each for each in self._ids if each in self.world.events]
        return there[place % len(there)] if there else None

    def _hold(self, held: frozenset[tuple[str, str]]) -> None:
        with self.world.store.read() as reading:
            present = holds.all_held(reading)
        if present == held:
            return
        lease = leases.acquire(self.world.store, "audit", now=lambda: at(self.hours), wait=timedelta())
        with lease.begin() as connection:
            self._breaches += 1
            day = (at(0) + timedelta(days=self._breaches)).date()  # a day that was released stays so
            breaches = [holds.Breach(source, name, day, "a drop") for source, name in held - present]
            holds.open_holds(connection, lease, breaches, now=at(self.hours))
            for _, name in present - held:
                holds.release(connection, lease, name, now=at(self.hours))
        lease.release()


def _cart(event: dict[str, Any]) -> str | None:
    cart: str | None = json.loads(event["properties"]).get("cart_id")
    return cart


@contextmanager
def telling(story: Story, order: random.Random | None = None) -> Iterator[Telling]:
    with TemporaryDirectory() as folder:
        made = Telling(Path(folder), story, order)
        yield made
        made.world.store.close()


def agree(story: Story) -> None:
    oracle = Oracle()
    with telling(story) as told:
        for chapter in story.chapters:
            told.begin(chapter)
            oracle.run(told.facts(), told.world.automations)
            told.run()
            assert told.outcomes() == oracle.outcomes()
            assert told.fired() == sorted(oracle.fired)
    for status, reason in oracle.outcomes().values():
        event(reason or status)


def one_answer(story: Story, seed: int) -> None:
    """Landed in another order, decided twice over, after killed runs and rebuilds: the same."""
    with telling(story) as told, telling(story, random.Random(seed)) as again:
        for number, chapter in enumerate(story.chapters):
            told.begin(chapter)
            told.run()
            again.begin(replace(chapter, rebuilds=bool((seed >> number) & 1)))
            again.run(is_killed=True)
            again.run()
            again.run()
        assert again.outcomes() == told.outcomes()
        assert again.fired() == told.fired()


@given(stories())
@FEW
def test_the_step_decides_as_the_specification_says(story: Story) -> None:
    agree(story)


@given(stories())
@settings(FEW, max_examples=3)
def test_neither_order_nor_repetition_nor_kills_nor_rebuilds_change_a_decision(story: Story) -> None:
    one_answer(story, 0b10110)


@pytest.mark.soak
@given(stories())
@MANY
def test_the_step_decides_as_the_specification_says_in_many_stories(story: Story) -> None:
    agree(story)
    one_answer(story, 0b01101)
