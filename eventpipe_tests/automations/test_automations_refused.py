"""Wrong automations: each is refused with its place and what is accepted, all of them at once."""

from __future__ import annotations

import pytest

from eventpipe.automations.definitions import read_automations
from eventpipe.project.definitions import EventDefinition, PropertyDefinition, Registry
from eventpipe.project.rfm import RfmSettings
from eventpipe.project.yaml import parse_document
from eventpipe.segments.names import Names

PLAN = Registry(
    (EventDefinition(name="checkout.started", properties=(PropertyDefinition(name="total", type="number"),)),)
)
NAMES = Names(PLAN, ("customer_id", "email", "anonymous_id"), RfmSettings().segment_names, "USD", "UTC")
CHECKOUT = "trigger: {event: checkout.started}"


def refused(*automations: str) -> list[str]:
    entries = "".join(f"  - {{name: a{number}, {each}}}\n" for number, each in enumerate(automations))
    document, problems = parse_document(f"automations:\n{entries}".encode(), "automations/all.yml", {})
    _, found = read_automations([document], NAMES, frozenset({"vip", "lapsed"}))
    return [str(each) for each in (*problems, *found)]


@pytest.mark.parametrize(
    ("automation", "said"),
    [
        ("wait: 1h", "trigger: is required"),
        ("trigger: {segment_enter: vip}", "a trigger: begin with one of event, segment_entered, segment_left"),
        ("trigger: {event: checkout.start}", "did you mean 'checkout.started'?"),
        ("trigger: {event: checkout.started, where: {totl: 5}}", "did you mean 'total'?"),
        ("trigger: {event: checkout.started, segment_left: vip}", "trigger.segment_left: unknown key"),
        ("trigger: {segment_entered: vips}", "'vips' is no segment; did you mean 'vip'?"),
        (f"{CHECKOUT}, wait: 1 hour", "wait: '1 hour' is not a duration: write a whole number and s, m, h, d or w"),
        (f"{CHECKOUT}, max_lateness: 20y", "max_lateness: '20y' is not a duration"),
        (f"{CHECKOUT}, unless: {{where: {{x: 1}}}}", "unless: needs one of event and any_event"),
        (f"{CHECKOUT}, unless: {{event: order, match: cart_id}}", "unless.match: 'cart_id' is not a list"),
        ("trigger: {segment_left: vip}, unless: {event: order, match: [x]}", "here the trigger is no event"),
        (f"{CHECKOUT}, only_if: {{segment: lapse}}", "'lapse' is no segment; did you mean 'lapsed'?"),
        (f"{CHECKOUT}, only_if: {{goal: purchase, aggregate: sum}}", "an aggregate sum needs a comparison"),
        (f"{CHECKOUT}, frequency: weekly", "write once, every_time or {every: 7d}"),
        (f"{CHECKOUT}, frequency: 7", "write once, every_time or {every: 7d}"),
        (f"{CHECKOUT}, frequency: {{every: 0d}}", "frequency.every: '0d' is not a duration of some length"),
        (
            f"{CHECKOUT}, payload: [emial]",
            "payload.0: no property of 'checkout.started' is called 'emial'; did you mean",
        ),
        ("trigger: {segment_left: vip}, payload: [total]", "'total' is nothing that a change of membership has"),
        (f"{CHECKOUT}, deliver: {{webhok: x}}", "a target: write {webhook: ..., secret: ...}, {file: ...} or none"),
        (f"{CHECKOUT}, deliver: {{webhook: 'https://x.example', secret: abc}}", "is not a secret of Standard Webhooks"),
        (f"{CHECKOUT}, deliver: {{file: ' '}}", "deliver.file: is no folder: it is empty"),
    ],
)
def test_it_is_refused_with_its_place_and_what_is_accepted(automation: str, said: str) -> None:
    (message,) = refused(automation)
    assert message.startswith("automations/all.yml:2: automations.0")
    assert said in message
    assert refused(CHECKOUT) == []


def test_one_reading_tells_of_all_that_is_wrong() -> None:
    messages = refused("wait: 1h", CHECKOUT, f"{CHECKOUT}, frequency: weekly, wait: soon", "trigger: {event: order}")
    assert [each.split(": ")[:2] for each in messages] == [
        ["automations/all.yml:2", "automations.0.trigger"],
        ["automations/all.yml:4", "automations.2.wait"],
        ["automations/all.yml:4", "automations.2.frequency"],
    ]
