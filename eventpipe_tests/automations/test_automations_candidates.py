"""What an automation could be triggered by: what is new to it, and what is its past, on the tables that the step reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl
import pytest
from sqlalchemy import Connection

from eventpipe.ops import seen_events
from eventpipe.project.definitions import EventDefinition, Registry
from eventpipe_tests.automations.world import CHECKOUT, Make, at


def test_what_the_first_run_finds_and_all_before_is_the_past(world: Make) -> None:
    made = world(CHECKOUT)
    assert made.decisions() == {}
    new = made.put("checkout", "c1", 1)
    made.run(1)
    assert made.decisions() == {new: ("fired", None)}


def test_an_event_is_new_once(world: Make) -> None:
    """Neither an update, nor a restoration, nor a merge, nor a rebuild makes it new again."""
    made = world(CHECKOUT)
    event = made.put("checkout", "c1", 1)
    hidden = made.put("checkout", "c2", 1, deletion="deleted")
    made.run(2)
    made.events[event]["value"] = 99
    made.events[hidden]["deletion"] = "restored"
    made.merged["c1"] = "c2"
    made.events["e000"]["deletion"] = "restored"
    made.run(3)
    del made.events[event]
    made.run(4)
    made.put("checkout", "c1", 1, event_id=event)
    made.run(5)
    assert made.decisions() == {event: ("fired", None)}


def test_the_properties_of_the_trigger_decide_when_it_appears(world: Make) -> None:
    made = world({**CHECKOUT, "trigger": {"event": "checkout", "where": {"value": {"gte": 50}, "kind": "web"}}})
    yes = made.put("checkout", "c1", 1, value=50, properties={"kind": "web"})
    made.put("checkout", "c2", 1, value=49, properties={"kind": "web"})
    made.put("checkout", "c3", 1, value=60)
    made.put("order", "c4", 1, value=60, properties={"kind": "web"})
    made.run(1)
    assert made.decisions() == {yes: ("fired", None)}


def test_what_is_called_otherwise_from_now_on_is_nothing_new(world: Make) -> None:
    """An alias is defined later, and an export is judged again: what an event was called before is no other event, nor is
    what was called by that name, and waited for by nobody, news now."""
    made = world({"name": "thanks", "trigger": {"event": "Order Done"}})
    first, other = made.put("Order Done", "c1", 1), made.put("order.done", "c2", 1)
    made.run(2)
    assert made.decisions() == {first: ("fired", None)}
    made.plan = Registry((EventDefinition(name="order.done", aliases=("Order Done",)),))
    made.run(3)
    made.events[first]["event_name"] = "order.done"
    new = made.put("order.done", "c3", 3.5)
    made.run(4)
    assert made.decisions() == {first: ("fired", None), new: ("fired", None)}
    assert other in made.events


def test_an_event_that_was_decided_about_under_another_name_is_not_decided_about_again(world: Make) -> None:
    made = world(CHECKOUT)
    event = made.put("checkout", "c1", 1)
    made.run(2)
    made.automations = [{**CHECKOUT, "trigger": {"event": "order"}}]
    made.run(3)
    made.events[event]["event_name"] = "order"
    made.run(4)
    assert made.decisions() == {event: ("fired", None)}


def test_one_order_is_one_occasion_whichever_source_reports_it(world: Make) -> None:
    made = world({"name": "thanks", "trigger": {"event": "order"}, "wait": "1h"})
    first = made.put("order", "c1", 1, order_key="o1", source="web")
    waiting = made.put("order", "c2", 1.6, order_key="o2", source="web")
    made.run(2)
    for event_id, order, contact in ((first, "o1", "c1"), (waiting, "o2", "c2")):
        made.superseded[event_id] = made.events.pop(event_id)
        made.put("order", contact, 1.2, order_key=order, source="till", event_id=f"till-{order}")
    made.run(3)
    assert made.decisions() == {first: ("fired", None), waiting: ("fired", None)}


def test_who_enters_and_who_leaves_a_segment(world: Make) -> None:
    made = world(
        {"name": "in", "trigger": {"segment_entered": "vip"}},
        {"name": "out", "trigger": {"segment_left": "vip"}, "payload": ["segment", "email"]},
    )
    for who in ("c1", "c2"):
        made.put("order", who, 1)
    made.members = {"c1"}
    made.run(2)
    made.run(3)
    made.members = {"c2"}
    made.run(4)
    fired = {(each["automation"], each["contact_id"]): each for each in made.fired()}
    assert sorted(fired) == [("in", "c1"), ("in", "c2"), ("out", "c1")]
    assert json.loads(fired["out", "c1"]["payload"]) == {"segment": "vip", "email": "c1@x.example"}


def test_lines_of_a_backfill_or_a_replay_never_fire(world: Make) -> None:
    made = world(CHECKOUT)
    quiet, loud = made.put("checkout", "c1", 1), made.put("checkout", "c2", 1)
    made.quieten(lines=[made.events[quiet]["line"]])
    made.run(2)
    assert made.decisions() == {loud: ("fired", None)}
    whole = made.put("checkout", "c3", 2)
    made.quieten("another content")
    made.run(3)
    assert made.decisions()[whole] == ("fired", None)
    made.put("checkout", "c4", 3)
    made.quieten()
    made.run(4)
    assert len(made.fired()) == 2


def test_memberships_that_a_backfill_changes_never_fire(world: Make) -> None:
    """In its own run those of all whom it touches, for lines can go too; after a killed one those of its lines' contacts."""
    made = world({"name": "in", "trigger": {"segment_entered": "vip"}})
    for who in ("old", "new"):
        made.put("order", who, 1)
    made.run(1)
    made.put("order", "old", 1.5)
    made.members = {"old", "new"}
    made.run(2, backfill=True)
    assert [each["contact_id"] for each in made.fired()] == ["new"]
    line = made.events[made.put("order", "late", 2.5)]["line"]
    made.quieten(lines=[line])
    made.put("order", "own", 2.5)
    made.members |= {"late", "own"}
    made.run(3)
    assert [each["contact_id"] for each in made.fired()] == ["new", "own"]
    made.members -= {"late"}
    made.run(4)
    made.members |= {"late"}
    made.run(5)  # what happens after it is no past
    assert [each["contact_id"] for each in made.fired()] == ["new", "own", "late"]


def test_a_membership_is_one_occasion_also_where_runs_as_of_one_instant_find_it_twice(world: Make) -> None:
    made = world({"name": "in", "trigger": {"segment_entered": "vip"}})
    made.put("order", "c1", 1)
    for members in ({"c1"}, set(), {"c1"}):
        made.members = members
        made.run(2)
    assert len(made.fired()) == 1


def test_a_step_reads_what_was_seen_only_where_something_was_written(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(CHECKOUT)
    event = made.put("checkout", "c1", 1)
    reads = 0
    frames = seen_events.frames

    def watched(store: Connection) -> Iterator[pl.DataFrame]:
        nonlocal reads
        reads += 1
        return frames(store)

    monkeypatch.setattr(seen_events, "frames", watched)
    made.run(1)
    made.merged["c1"] = "c2"
    made.put("order", "c2", 1.5)
    made.run(2)
    assert reads == 1
    made.rebuild()
    made.run(3)
    assert reads == 2
    assert made.decisions() == {event: ("fired", None)}


def test_fire_asks_for_the_past_as_far_back_as_the_automation_takes(world: Make) -> None:
    made = world({**CHECKOUT, "max_lateness": "3h"})
    made.put("checkout", "c1", 1)
    made.quieten()
    made.run(2)
    assert made.fired() == []
    made.run(4, fire=True)
    assert [each["contact_id"] for each in made.fired()] == ["c1"]
    made.run(4, fire=True)
    assert len(made.fired()) == 1


def test_fire_asks_for_memberships_of_the_past_too(world: Make) -> None:
    made = world(CHECKOUT)
    made.put("order", "c1", 1)
    made.automations = [{"name": "in", "trigger": {"segment_entered": "vip"}}]
    made.history = [("c1", at(1), None), ("past", at(-90), None)]
    made.run(2, fire=True)
    assert [each["contact_id"] for each in made.fired()] == ["c1"]


def test_fire_asks_for_no_order_that_was_decided_about_as_another_source_told_of_it(world: Make) -> None:
    made = world({"name": "thanks", "trigger": {"event": "order"}})
    event = made.put("order", "c1", 1, order_key="o1")
    made.run(2)
    made.superseded[event] = made.events.pop(event)
    made.put("order", "c1", 1.1, order_key="o1", source="till", event_id="till-o1")
    made.put("order", "c2", 1.1, order_key="o2", source="till", event_id="till-o2")
    made.quieten(source="till")
    made.run(3)
    made.run(4, fire=True)
    assert made.decisions() == {"e001": ("fired", None), event: ("fired", None), "till-o2": ("fired", None)}


def test_fire_asks_for_no_membership_that_was_decided_about_under_another_contact_id(world: Make) -> None:
    made = world({"name": "in", "trigger": {"segment_entered": "vip"}})
    made.put("order", "a", 1)
    made.put("order", "b", 1)
    made.members = {"a"}
    made.run(2)
    made.merged["a"] = "b"
    made.history = [("b", at(2), None)]
    made.run(3)
    made.run(4, fire=True)
    assert [each["contact_id"] for each in made.fired()] == ["a"]


def test_a_run_as_of_the_past_decides_nothing(world: Make) -> None:
    made = world(CHECKOUT)
    made.put("checkout", "c1", 1)
    assert made.run(1, is_observed=False) is None
    assert made.decisions() == {}
    made.run(2)
    assert len(made.fired()) == 1


def test_an_event_after_as_of_is_new_when_its_time_comes(world: Make) -> None:
    made = world(CHECKOUT)
    event = made.put("checkout", "c1", 5)
    made.run(4)
    assert made.decisions() == {}
    made.run(5)
    assert made.decisions() == {event: ("fired", None)}


def test_an_event_of_nobody_is_no_candidate(world: Make) -> None:
    made = world(CHECKOUT)
    made.put("checkout", "x", 1, contact_id=None)
    made.run(2)
    assert made.decisions() == {}
