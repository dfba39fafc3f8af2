"""Who is erased, and who is not: through the real pipeline, in shops with one awkward thing each (spec 5, promise 6)."""

from __future__ import annotations

import json
from collections.abc import Iterable
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


def test_who_is_known_of_deleted_events_alone_is_found_with_all_that_those_say(tmp_path: Path) -> None:
    hers = {"customer_id": "custdel99", "email": ANN, "dedupe_key": "d", "properties": {"s": "SECRETDEL"}}
    gone = event(**hers | {"deletion": "deleted", "deleted_at": "2026-01-05T12:00:00Z"})
    made = shop(tmp_path, event(**hers), gone, event(customer_id="bob"))
    with pytest.raises(UnknownContact):
        who(made, ANN)
    erased(made, who(made, ANN, "email"))
    assert not named(made, "custdel99", ANN, "SECRETDEL")
    assert contacts(made) == {frozenset({"bob"})}


def test_who_is_known_of_an_older_version_alone_is_found_and_the_event_stays_with_its_owner(tmp_path: Path) -> None:
    first = event(customer_id="custmov88", email=ANN, dedupe_key="m", properties={"s": "SECRETMOV"})
    second = event(customer_id="bob", dedupe_key="m", occurred_at="2026-01-05T11:00:00Z")
    made = shop(tmp_path, first, second, sources={"web": {"preset": "canonical", "on_conflict": "latest_wins"}})
    erased(made, who(made, ANN, "email"))
    assert not named(made, "custmov88", ANN, "SECRETMOV")
    assert [row["customer_id"] for row in made.tables()["events"].records()] == ["bob"]


def test_an_event_that_became_theirs_does_not_fall_back_to_who_reported_it_first(tmp_path: Path) -> None:
    first = event(customer_id="bob", dedupe_key="m", value=9, goal_type="purchase")
    second = event(customer_id="ann-cust", email=ANN, dedupe_key="m", value=9, occurred_at="2026-01-05T11:00:00Z")
    made = shop(
        tmp_path, first, second, event(customer_id="bob"),
        sources={"web": {"preset": "canonical", "on_conflict": "latest_wins"}},
    )  # fmt: skip
    erased(made, who(made, ANN))
    assert not made.tables()["contact_goals"].records(), "the purchase was hers"
    assert contacts(made) == {frozenset({"bob"})}


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


def test_a_kiosk_that_many_use_ties_nobody_afterwards_either(tmp_path: Path) -> None:
    many = [event(customer_id=None, email=f"p{each}@kiosk.example", anonymous_id="kiosk-1") for each in range(11)]
    made = shop(tmp_path, *many)
    before = contacts(made)
    assert len(before) == 11
    erased(made, who(made, "p0@kiosk.example"))
    assert contacts(made) == before - {frozenset({"p0@kiosk.example"})}
    assert load_project(tmp_path, {}).corrections.shared == ("anonymous_id:kiosk-1",)


def test_what_others_say_of_them_in_fields_is_said_no_more(tmp_path: Path) -> None:
    his = event(
        event_name="identify", kind="identify", customer_id="bob", email=ANN, properties={"a": 1.10, "mail": ANN.upper()},
        traits={"email": ANN, "n": 12345678901234567890}, extra={"who": [ANN], ANN: "a name"},
    )  # fmt: skip
    made = shop(tmp_path, event(customer_id="ann-cust", email=ANN), his)
    erased(made, who(made, ANN))
    [row] = made.tables()["events"].records()
    assert json.loads(row["properties"]) == {"a": 1.10, "mail": "[erased]"}
    assert '"n":12345678901234567890' in row["traits"]
    assert json.loads(row["extra"]) == {"who": ["[erased]"], ANN: "a name"}


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
    made.run(NEXT_DAY)
    erased(made, who(made, ANN))
    assert contacts(made) == {frozenset({"nu"})}


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
    made.run(EVENING)
    assert named(made, ANN)
    [done] = erased(made, who(made, ANN))
    assert done.receipt["delivered_to_files"] == 1
    assert not named(made, ANN)
    assert (tmp_path / "outbox" / "foreign.jsonl").read_bytes() == foreign


def test_an_id_that_a_contact_had_before_is_theirs(tmp_path: Path) -> None:
    made = shop(
        tmp_path,
        event(customer_id=None, anonymous_id="dev-1"),
        event(customer_id="c9", occurred_at="2026-01-05T11:00:00Z"),
    )
    old = {row["contact_id"] for row in made.tables()["contacts"].records()}
    joined = event(customer_id="c9", anonymous_id="dev-1", occurred_at="2026-01-05T12:00:00Z")
    made.put("web", "2026-01-06", "more.jsonl", builders.lines(joined))
    [kept] = {row["contact_id"] for row in made.run(NEXT_DAY)["contacts"].records()}
    [lost] = old - {kept}
    assert who(made, lost) == who(made, kept)
    with pytest.raises(UsageError, match="empty"):
        who(made, "  ")
