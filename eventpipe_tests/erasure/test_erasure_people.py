"""Who is erased, and who is not: through the real pipeline, in shops with one awkward thing each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventpipe.cli.options import now
from eventpipe.client import UnknownContact
from eventpipe.delivery.deliver import deliver
from eventpipe.errors import EventpipeError, UsageError
from eventpipe.failpoints import VARIABLE, FailPointReached
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import load_project
from eventpipe_tests import builders
from eventpipe_tests.builders import event
from eventpipe_tests.erasure.story import EVENING, MORNING, NEXT_DAY, erased, found, who
from eventpipe_tests.pipeline.shop import Shop

ANN = "ann@erase.example"


def shop(folder: Path, *lines: object, **settings: Any) -> Shop:
    """A project with these lines, published."""
    made = Shop(builders.project(folder, **settings))
    made.put("web", "2026-01-05", "events.jsonl", builders.lines(*lines))
    made.run(EVENING)
    return made


def contacts(made: Shop) -> set[frozenset[str]]:
    """Who there is, by what they are known by."""
    known: dict[str, set[str]] = {}
    for row in made.tables()["contact_identifiers"].records():
        known.setdefault(row["contact_id"], set()).add(row["identifier_value"])
    return {frozenset(values) for values in known.values()}


def named(made: Shop, *words: str) -> Iterable[str]:
    """Which of these words are in any file."""
    return {word for hits in found(made, *words).values() for word in hits if word in words}


DELETED = {
    "customer_id": "custdel99",
    "email": "del@erase.example",
    "dedupe_key": "d",
    "properties": {"s": "SECRETDEL"},
}
OLDER = {"customer_id": "custmov88", "email": "mov@erase.example", "dedupe_key": "m", "properties": {"s": "SECRETMOV"}}
BOUGHT = {"dedupe_key": "p", "value": 9, "goal_type": "purchase"}
LINES = [
    event(**DELETED),
    event(**DELETED | {"deletion": "deleted", "deleted_at": "2026-01-05T12:00:00Z"}),
    event(**OLDER),
    event(customer_id="carl", dedupe_key="m", occurred_at="2026-01-05T11:00:00Z"),
    event(customer_id="fred", **BOUGHT),
    event(customer_id="fay", email="fay@erase.example", occurred_at="2026-01-05T11:00:00Z", **BOUGHT),
    event(customer_id="ann-cust", email=ANN),
    event(
        event_name="identify",
        kind="identify",
        customer_id="bob",
        email=ANN,
        properties={"a": 1.10, "mail": ANN.upper()},
        traits={"email": ANN, "n": 12345678901234567890},
        extra={"who": [ANN], ANN: "a name"},
    ),
    *(event(customer_id=None, email=f"p{each}@kiosk.example", anonymous_id="kiosk-1") for each in range(11)),
]


@dataclass(frozen=True)
class Erased:
    """A shop in which several people were erased together, and who there was before."""

    shop: Shop
    before: set[frozenset[str]]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Erased:
    folder = tmp_path_factory.mktemp("together") / "shop"
    made = shop(folder, *LINES, sources={"web": {"preset": "canonical", "on_conflict": "latest_wins"}})
    for unheld in ("del@erase.example", "mov@erase.example"):
        with pytest.raises(UnknownContact):
            who(made, unheld)
    before = contacts(made)
    people = [who(made, each, "email") for each in ("del@erase.example", "mov@erase.example")]
    erased(made, *people, *(who(made, each) for each in ("fay@erase.example", ANN, "p0@kiosk.example")))
    return Erased(made, before)


def test_who_is_known_of_deleted_events_alone_is_found_with_all_that_those_say(together: Erased) -> None:
    assert not named(together.shop, "custdel99", "del@erase.example", "SECRETDEL")


def test_who_is_known_of_an_older_version_alone_is_found_and_the_event_stays_with_its_owner(together: Erased) -> None:
    assert not named(together.shop, "custmov88", "mov@erase.example", "SECRETMOV")
    assert "carl" in [row["customer_id"] for row in together.shop.tables()["events"].records()]


def test_an_event_that_became_theirs_does_not_fall_back_to_who_reported_it_first(together: Erased) -> None:
    assert not together.shop.tables()["contact_goals"].records(), "the purchase was fay's"
    assert frozenset({"fred"}) not in contacts(together.shop)


def test_what_others_say_of_them_in_fields_is_said_no_more(together: Erased) -> None:
    [row] = [each for each in together.shop.tables()["events"].records() if each["customer_id"] == "bob"]
    assert json.loads(row["properties"]) == {"a": 1.10, "mail": "[erased]"}
    assert '"n":12345678901234567890' in row["traits"]
    assert json.loads(row["extra"]) == {"who": ["[erased]"], ANN: "a name"}


def test_a_kiosk_that_many_use_ties_nobody_afterwards_either(together: Erased) -> None:
    def at_the_kiosk(known: set[frozenset[str]]) -> set[frozenset[str]]:
        return {values for values in known if any("kiosk" in value for value in values)}

    left = at_the_kiosk(together.before) - {frozenset({"p0@kiosk.example"})}
    assert len(left) == 10
    assert at_the_kiosk(contacts(together.shop)) == left
    assert load_project(together.shop.project.root, {}).corrections.shared == ("anonymous_id:kiosk-1",)


def test_a_contact_that_is_a_set_alone_is_erased_by_its_events(tmp_path: Path) -> None:
    types = [{"name": "customer_id", "limit": 1}, {"name": "anonymous_id", "known": False, "limit": 5}]
    types.append({"name": "device", "known": False, "limit": 5})
    source = {"preset": "canonical", "map": {"device": "device"}}
    made = shop(
        tmp_path,
        event(customer_id="custaaaa1", anonymous_id="anon-1"),
        event(customer_id="custbbbb1", device="device-1"),
        event(
            customer_id=None,
            anonymous_id="anon-1",
            device="device-1",
            properties={"s": "SETONLY"},
            occurred_at="2026-01-05T12:00:00Z",
        ),
        sources={"web": source},
        identity={"types": types},
    )
    [alone] = [row["contact_id"] for row in made.tables()["events"].records() if row["customer_id"] is None]
    erased(made, who(made, alone))
    assert not named(made, "SETONLY")
    assert {value for values in contacts(made) for value in values} == {"custaaaa1", "custbbbb1", "anon-1", "device-1"}


def test_it_begins_from_what_is_published_and_from_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What landed and is not published may be hers, and somebody else's trigger."""
    made = shop(tmp_path, event(customer_id="ann-cust", email=ANN))
    made.put("web", "2026-01-06", "more.jsonl", builders.lines(event(customer_id="nu")))
    monkeypatch.setenv(VARIABLE, "resolve.done:raise")
    with pytest.raises(FailPointReached):
        made.run(NEXT_DAY)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(EventpipeError, match="until it publishes"):
        erased(made, who(made, ANN))


def test_folders_that_were_delivered_to_are_cleaned_and_files_of_others_in_them_left(tmp_path: Path) -> None:
    rule = {"name": "hello", "trigger": {"event": "page.seen"}, "payload": ["email"], "deliver": {"file": "outbox/"}}
    made = Shop(builders.project(tmp_path, automations=[rule]))
    made.run(MORNING)
    made.put("web", "2026-01-05", "events.jsonl", builders.lines(event(customer_id="ann-cust", email=ANN)))
    made.run(EVENING)
    with OpsStore.open(made.project.ops) as store:
        deliver(made.project, store, now)
    foreign = b'{"hello": 1}\nnot json\n[1]\n\xff\xfe\n'
    (tmp_path / "outbox" / "foreign.jsonl").write_bytes(foreign)
    (tmp_path / "outbox" / ".left.jsonl.tmp").write_text(ANN)
    (made.project.state / "doctor-1").mkdir()
    (made.project.state / "doctor-1" / "copy").write_text(ANN)
    made = Shop(builders.project(tmp_path, automations=[rule | {"deliver": {"file": "elsewhere/"}}]))
    assert named(made, ANN)
    [done] = erased(made, who(made, ANN))
    assert done.receipt["delivered_to_files"] == 1
    assert not named(made, ANN)
    assert (tmp_path / "outbox" / "foreign.jsonl").read_bytes() == foreign


def test_an_empty_text_is_nobody(together: Erased) -> None:
    with pytest.raises(UsageError, match="empty"):
        who(together.shop, "  ")
