"""One decision with its reason for each candidate, on the tables that the step reads. What is one: `test_automations_candidates`."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventpipe.ops import automations as ops
from eventpipe.ops import holds
from eventpipe.ops import lease as leases
from eventpipe.project.definitions import EventDefinition, PropertyDefinition, Registry
from eventpipe_tests.automations.world import CHECKOUT, WAITING, Make, World, at


def test_a_candidate_waits_and_is_judged_when_its_time_comes_also_where_nothing_landed(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    assert made.decisions() == {event: ("waiting", None)}
    made.run(1.99)
    assert made.decisions() == {event: ("waiting", None)}
    made.run(2)
    assert made.decisions() == {event: ("fired", None)}
    made.run(9)
    assert len(made.fired()) == 1


@pytest.mark.parametrize(
    ("hours", "who", "outcome"),
    [
        (1.5, "c1", "skipped"),
        (1, "c1", "skipped"),  # in the same instant: who has bought gets no reminder
        (0.99, "c1", "fired"),
        (3, "c1", "skipped"),  # after the hour, but before anybody looked
        (1.5, "c2", "fired"),
    ],
)
def test_an_exit_since_the_trigger_stops_it(world: Make, hours: float, who: str, outcome: str) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.put("order", who, hours)
    made.run(4)
    assert made.decisions()[event][0] == outcome


def test_a_deleted_order_stops_nothing(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.put("order", "c1", 1.5, deletion="deleted")
    made.run(4)
    assert made.decisions()[event] == ("fired", None)


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome"),
    [("k1", "k1", "skipped"), ("k1", "k2", "fired"), (7, "7", "skipped"), ("k1", None, "fired"), (None, None, "fired")],
)
def test_match_asks_for_the_same_value(world: Make, mine: Any, theirs: Any, outcome: str) -> None:
    made = world({**WAITING, "unless": {"event": "order", "match": ["cart_id"]}})
    event = made.put("checkout", "c1", 1, properties={"cart_id": mine})
    made.put("order", "c1", 1.5, properties={"cart_id": theirs})
    made.run(4)
    assert made.decisions()[event][0] == outcome


def test_match_can_read_fields_and_several_of_them(world: Make) -> None:
    made = world({**WAITING, "unless": {"event": "order", "match": ["order_id", "cart_id"]}})
    one = made.put("checkout", "c1", 1, order_id="o1", properties={"cart_id": "k"})
    other = made.put("checkout", "c1", 1.1, order_id="o2", properties={"cart_id": "k"})
    made.put("order", "c1", 1.5, order_id="o1", properties={"cart_id": "k"})
    made.run(4)
    assert made.decisions() == {one: ("skipped", "exited"), other: ("fired", None)}


def test_an_event_of_the_trigger_s_own_name_can_exit_it_but_it_does_not_exit_itself(world: Make) -> None:
    made = world({"name": "again", "trigger": {"event": "order"}, "wait": "1h", "unless": {"event": "order"}})
    first, second, twin = (made.put("order", who, hours) for who, hours in (("c1", 1), ("c1", 1.5), ("c2", 1)))
    other_twin = made.put("order", "c2", 1)
    made.run(4)
    assert made.decisions() == {
        first: ("skipped", "exited"),
        second: ("fired", None),
        twin: ("skipped", "exited"),
        other_twin: ("fired", None),
    }


def test_what_is_said_later_of_its_own_event_exits_nobody(world: Make) -> None:
    made = world({"name": "again", "trigger": {"event": "order"}, "wait": "1h", "unless": {"event": "order"}})
    updated = made.put("order", "c1", 1)
    reported = made.put("order", "c2", 1, order_key="o2")
    made.run(1.5)
    made.events[updated]["occurred_at"] = at(1.2)
    made.superseded[reported] = made.events.pop(reported)
    made.put("order", "c2", 1.3, order_key="o2", source="till")
    made.run(3)
    assert made.decisions() == {updated: ("fired", None), reported: ("fired", None)}


def test_only_if_is_judged_with_the_exit(world: Make) -> None:
    made = world({**WAITING, "only_if": {"all": [{"segment": "vip"}, {"contact": "traits.plan", "equals": "pro"}]}})
    yes, no, neither = (made.put("checkout", who, 1) for who in ("c1", "c2", "c3"))
    made.members = {"c3"}
    made.run(1)
    made.members = {"c1", "c2"}
    made.traits = {"c1": {"plan": "pro"}, "c2": {"plan": "free"}, "c3": {"plan": "pro"}}
    made.run(4)
    assert made.decisions() == {
        yes: ("fired", None),
        no: ("skipped", "condition"),
        neither: ("skipped", "condition"),
    }


def test_every_time_once_and_every_so_long(world: Make) -> None:
    made = world(
        {**CHECKOUT, "name": "each", "frequency": "every_time"},
        {**CHECKOUT, "name": "first", "frequency": "once"},
        {**CHECKOUT, "name": "weekly", "frequency": {"every": "7d"}},
    )
    days = (1, 1.01, 7.9, 8, 14.9, 15.1)
    events = []
    for day in days:
        events.append(made.put("checkout", "c1", day * 24))
        made.run(day * 24)
    assert [made.decisions("each")[each][0] for each in events] == ["fired"] * 6
    assert [made.decisions("first")[each] for each in events] == [("fired", None)] + [("skipped", "frequency")] * 5
    assert [made.decisions("weekly")[each][0] for each in events] == [
        "fired",
        "skipped",
        "skipped",
        "fired",
        "skipped",
        "fired",
    ]


def test_in_one_run_the_first_of_a_contact_fires(world: Make) -> None:
    made = world({**CHECKOUT, "frequency": {"every": "1h"}})
    late, early = made.put("checkout", "c1", 2), made.put("checkout", "c1", 1)
    made.run(3)
    assert made.decisions() == {early: ("fired", None), late: ("skipped", "frequency")}


def test_once_and_every_hold_across_merges(world: Make) -> None:
    made = world({**CHECKOUT, "name": "first", "frequency": "once"})
    made.put("checkout", "phone", 1)
    made.run(1)
    made.merged["phone"] = "known"
    again = made.put("checkout", "known", 2)
    made.run(2)
    assert made.decisions()[again] == ("skipped", "frequency")
    assert len(made.fired()) == 1


def test_two_that_are_one_by_the_time_they_are_judged_get_one(world: Make) -> None:
    made = world({**WAITING, "frequency": "once"})
    made.put("checkout", "phone", 1)
    made.put("checkout", "desktop", 1.1)
    made.run(1.5)
    made.merged |= {"phone": "known", "desktop": "known"}
    made.put("identify", "known", 1.6)
    made.run(3)
    assert [each["contact_id"] for each in made.fired()] == ["known"]


def test_the_anonymous_checkout_and_the_known_order_of_one_person_exit_as_one(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "phone", 1)
    made.run(1.1)
    made.put("order", "desktop", 1.5)
    made.merged["phone"] = "desktop"
    made.run(2)
    assert made.decisions() == {event: ("skipped", "exited")}


def test_an_older_event_never_triggers(world: Make) -> None:
    made = world({**WAITING, "wait": "10d"})
    late, just = made.put("checkout", "c1", 27.9), made.put("checkout", "c2", 28)
    made.run(100)
    assert made.decisions() == {late: ("skipped", "too_late"), just: ("waiting", None)}
    made.run(28 + 240)
    assert made.decisions()[just] == ("fired", None)


def test_a_candidate_that_nobody_judged_in_time_is_too_late(world: Make) -> None:
    made = world({**WAITING, "max_lateness": "2h"})
    event = made.put("checkout", "c1", 1)
    made.run(1)
    made.run(4.1)
    assert made.decisions() == {event: ("skipped", "too_late")}


def test_what_the_audit_holds_waits_and_is_judged_anew_when_released(world: Make) -> None:
    made = world(WAITING)
    breach = holds.Breach("web", "checkout", at(0).date(), "a drop")
    lease = leases.acquire(made.store, "audit", now=lambda: at(1), wait=timedelta())
    with lease.begin() as connection:
        holds.open_holds(connection, lease, [breach], now=at(1))
    bought, left = made.put("checkout", "c1", 1), made.put("checkout", "c2", 1)
    elsewhere = made.put("checkout", "c3", 1, source="app")
    lease.release()
    made.run(3)
    assert made.decisions() == {
        bought: ("held", "held"),
        left: ("held", "held"),
        elsewhere: ("fired", None),
    }
    made.put("order", "c1", 3)
    lease = leases.acquire(made.store, "person", now=lambda: at(4), wait=timedelta())
    with lease.begin() as connection:
        holds.release(connection, lease, "checkout", now=at(4))
    lease.release()
    made.run(5)
    assert made.decisions()[bought] == ("skipped", "exited")
    assert made.decisions()[left] == ("fired", None)


def test_an_event_that_was_deleted_while_it_waited_counts_nowhere(world: Make) -> None:
    made = world(WAITING)
    event, other = made.put("checkout", "c1", 1), made.put("order", "c1", 0.5)
    made.run(1.5)
    made.deletions.add(event)
    made.run(2)
    assert made.decisions() == {event: ("skipped", "condition")}
    assert other in made.events


@pytest.mark.parametrize("change", [{"event_name": "order"}, {"value": Decimal(5)}])
def test_an_event_that_became_another_while_it_waited_is_not_waited_for(world: Make, change: dict[str, Any]) -> None:
    """Sent again under its key, or, without keys, where a line was taken out of its file: then it is somebody else's."""
    made = world({"name": "cart", "trigger": {"event": "checkout", "where": {"value": {"gte": 50}}}, "wait": "1h"})
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    made.events[event] |= {"contact_id": "c2", **change}
    made.run(3)
    assert made.decisions() == {event: ("skipped", "condition")}


def test_an_event_that_nobody_holds_any_more_fires_for_nobody(world: Make) -> None:
    """What it was held by is blocked by now; whose it was is still there."""
    made = world({**CHECKOUT, "wait": "1h"})
    event = made.put("checkout", "c1", 1)
    made.put("view", "c1", 1)
    made.run(1.5)
    made.events[event]["contact_id"] = None
    made.run(3)
    assert made.decisions() == {event: ("skipped", "condition")}


def test_a_contact_that_is_gone_gets_nothing(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    del made.events[event]
    made.run(2)
    assert made.decisions() == {event: ("skipped", "erased")}


def test_an_automation_that_is_gone_takes_its_waiting_candidates_along(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    defined, made.automations = made.automations, []
    made.run(2)
    assert made.decisions() == {event: ("skipped", "inactive")}
    made.put("checkout", "c2", 3)
    made.automations = defined
    made.run(3)  # activates it anew: this is its past again
    new = made.put("checkout", "c3", 4)
    made.run(6)
    assert made.decisions() == {event: ("skipped", "inactive"), new: ("fired", None)}


def test_an_automation_that_waits_for_something_else_begins_anew(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    made.automations = [{**WAITING, "trigger": {"event": "cart.viewed"}}]
    made.put("cart.viewed", "c1", 2)
    made.run(3)
    assert made.decisions() == {event: ("skipped", "inactive")}
    new = made.put("cart.viewed", "c1", 4)
    made.run(6)
    assert made.decisions()[new] == ("fired", None)


def test_an_automation_that_calls_its_event_by_another_of_its_names_goes_on(world: Make) -> None:
    made = world({**WAITING, "trigger": {"event": "Checkout"}})
    made.plan = Registry((EventDefinition(name="checkout", aliases=("Checkout",)),))
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    made.automations = [WAITING]
    made.run(2)
    assert made.decisions()[event] == ("fired", None)


def test_a_changed_rule_judges_what_waits(world: Make) -> None:
    made = world(WAITING)
    event = made.put("checkout", "c1", 1)
    made.run(1.5)
    before = made.read().by_name["cart"].version
    made.automations = [{**WAITING, "wait": "3h", "frequency": "once"}]
    made.run(2)
    assert made.decisions() == {event: ("waiting", None)}
    made.run(4)
    (fired,) = made.fired()
    assert fired["rule_version"] == made.read().by_name["cart"].version != before
    with made.store.read() as reading:
        assert ops.active(reading)["cart"].rule_version == fired["rule_version"]


def test_two_memberships_that_a_merge_makes_one_fire_once(world: Make) -> None:
    made = world({"name": "in", "trigger": {"segment_entered": "vip"}, "wait": "1h"})
    made.put("order", "a", 1)
    made.put("order", "b", 1)
    made.members = {"a", "b"}
    made.run(2)
    made.merged["a"] = "b"
    made.run(4)
    assert [each["contact_id"] for each in made.fired()] == ["b"]


def test_a_property_that_came_as_the_field_that_it_maps_to_is_asked_and_told(world: Make) -> None:
    trigger = {"event": "checkout", "where": {"total": {"gte": 50}}}
    made = world({**CHECKOUT, "trigger": trigger, "payload": ["total", "cart", "order_id"]})
    total = PropertyDefinition(name="total", type="number", maps_to="value")
    cart = PropertyDefinition(name="cart", type="string", maps_to="order_id")
    made.plan = Registry((EventDefinition(name="checkout", properties=(total, cart)),))
    made.put("checkout", "c1", 1, value=Decimal("49.99"), order_id="o0")
    made.put("checkout", "c2", 1, value=Decimal("50.25"), order_id="o1")
    made.run(1)
    assert [json.loads(fired["payload"]) for fired in made.fired()] == [
        {"total": 50.25, "cart": "o1", "order_id": "o1"}
    ]


def test_a_payload_keeps_its_types(world: Make) -> None:
    names = [
        "email",
        "value",
        "items",
        "count",
        "flag",
        "none",
        "missing",
        "a/b",
        "nested",
        "contact.plan",
        "contact.email",
    ]
    made = world({**CHECKOUT, "payload": [*names, "occurred_at", "order_id", "event_id"]})
    properties = {
        "items": ["a", {"sku": 1}],
        "count": 3,
        "flag": True,
        "none": None,
        "a/b": "<script>'; drop table",
        "nested": {"deep": [1.5]},
    }
    made.traits = {"c1": {"plan": {"name": "pro"}}}
    event = made.put("checkout", "c1", 1, value=Decimal("90071992547.4099"), order_id="007", properties=properties)
    made.run(1)
    (fired,) = made.fired()
    assert '"value":90071992547.4099' in fired["payload"]
    assert json.loads(fired["payload"]) == {
        "email": "c1@x.example",
        "value": 90071992547.4099,
        "items": ["a", {"sku": 1}],
        "count": 3,
        "flag": True,
        "none": None,
        "missing": None,
        "a/b": "<script>'; drop table",
        "nested": {"deep": [1.5]},
        "contact.plan": {"name": "pro"},
        "contact.email": "c1@x.example",
        "occurred_at": "2026-01-05T01:00:00.000000Z",
        "order_id": "007",
        "event_id": event,
    }


def test_a_trigger_s_id_is_a_function_of_what_it_is_about(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = World(tmp_path / name, [CHECKOUT])
        made.run(0)
        made.put("checkout", "c1", 1)
        made.run(1)
        ids.append(made.fired()[0]["trigger_id"])
    assert ids[0] == ids[1]
    assert ids[0].startswith("trg_")
