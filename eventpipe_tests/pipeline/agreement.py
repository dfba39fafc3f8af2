"""Holding the published tables against the oracle's answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from eventpipe_tests.identity.reference import Contact
from eventpipe_tests.pipeline.oracle import Event, Oracle, set_text
from eventpipe_tests.pipeline.published import Row, Table, Tables
from eventpipe_tests.pipeline.reports import Place

Label = tuple[str, str]


def assert_agrees(tables: Tables, oracle: Oracle) -> None:
    """Fails where the tables say anything else than the oracle: versions, events, contacts, goals, timelines."""
    _same("event_versions", _versions(tables), Counter(oracle.status().items()))
    shown = [event for event in oracle.events if not event.superseded]
    _same("events", _events(tables), Counter(map(_expected_event, shown)))
    labels = _labels(tables, shown)
    _same("contacts", _contacts(tables, labels), Counter(_expected_contacts(shown)))
    _same("contact_identifiers", _identifiers(tables, labels), Counter(_expected_identifiers(shown)))
    _same("contact_goals", _goals(tables, labels), Counter(_expected_goals(shown)))
    _same("contact_timeline", _timeline(tables, labels), Counter(_expected_timeline(oracle)))


def _same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    missing, surplus = expected - found, found - expected
    lines = [f"  expected, not found: {row}" for row in sorted(missing, key=repr)[:6]]
    lines += [f"  found, not expected: {row}" for row in sorted(surplus, key=repr)[:6]]
    assert not lines, "\n".join([f"{what}: {missing.total()} missing, {surplus.total()} too many", *lines])


def _place(record: Mapping[str, Any]) -> Place:
    return Place(record["landed_on"], record["file"], record["line"], record["source"])


def _versions(tables: Tables) -> Counter[tuple[Place, str]]:
    return Counter((_place(record), record["status"]) for record in tables["event_versions"].records())


def _events(tables: Tables) -> Counter[Row]:
    columns = "event_name occurred_at goal_type goal_name value currency deletion deleted_at".split()
    return Counter(
        (
            _place(record),
            *(record[column] for column in columns),
            record["identifiers"],
            _canonical(json.loads(record["properties"] or "{}")),
            record["version_count"],
        )
        for record in tables["events"].records()
    )


def _expected_event(event: Event) -> Row:
    state = event.state
    return (
        state.content,
        state.event_name,
        state.occurred_at,
        state.goal_type,
        state.goal_name,
        state.value,
        state.currency,
        state.deletion,
        state.deleted_at,
        set_text(state.identifiers),
        _canonical(dict(state.properties)),
        len(event.reports),
    )


def _labels(tables: Tables, shown: Iterable[Event]) -> dict[tuple[str, str], Label]:
    """The oracle's name for each published contact id. Ids and names must be one to one."""
    contacts = {event.state.content: event.contact for event in shown}
    names: dict[tuple[str, str], set[Label]] = {}
    ids: dict[tuple[str, Label], set[str]] = {}
    for record in tables["events"].records():
        contact, world, contact_id = contacts[_place(record)], record["workspace_id"], record["contact_id"]
        assert (contact is None) == (contact_id is None), (record, contact)
        if contact is not None:
            names.setdefault((world, contact_id), set()).add(contact.label)
            ids.setdefault((world, contact.label), set()).add(contact_id)
    torn = [(world, label, found) for (world, label), found in ids.items() if len(found) > 1]
    glued = [(world, contact_id, found) for (world, contact_id), found in names.items() if len(found) > 1]
    assert not torn, f"one contact under several ids: {torn[:5]}"
    assert not glued, f"several contacts under one id: {glued[:5]}"
    return {key: found.pop() for key, found in names.items()}


def _named(labels: Mapping[tuple[str, str], Label], table: Table, *columns: str) -> Counter[Row]:
    """A table's rows with the oracle's names for contacts."""
    found: Counter[Row] = Counter()
    for record in table.records():
        label = labels.get((record["workspace_id"], record["contact_id"]), "a contact without events")
        found[(record["workspace_id"], label, *(record[column] for column in columns))] += 1
    return found


def _contacts(tables: Tables, labels: Mapping[tuple[str, str], Label]) -> Counter[Row]:
    return _named(labels, tables["contacts"], "is_anonymous", "first_seen_at", "last_seen_at", "event_count")


def _by_contact(shown: Iterable[Event]) -> dict[tuple[str, Contact], list[Event]]:
    found: dict[tuple[str, Contact], list[Event]] = {}
    for event in shown:
        if event.contact is not None and event.counts:
            found.setdefault((event.world, event.contact), []).append(event)
    return found


def _expected_contacts(shown: Iterable[Event]) -> Iterable[Row]:
    for (world, contact), events in _by_contact(shown).items():
        times = [event.state.occurred_at for event in events]
        anonymous = contact.root is None or all(kind == "anonymous_id" for kind, _ in contact.members)
        yield world, contact.label, anonymous, min(times), max(times), len(events)


def _identifiers(tables: Tables, labels: Mapping[tuple[str, str], Label]) -> Counter[Row]:
    columns = ("identifier_type", "identifier_value", "first_seen_at", "last_seen_at", "event_count")
    return _named(labels, tables["contact_identifiers"], *columns)


def _expected_identifiers(shown: Iterable[Event]) -> Iterable[Row]:
    """An identifier stands with the contact that holds it, as that contact's own events show it."""
    for (world, contact), events in _by_contact(shown).items():
        if contact.root is None:
            continue
        for member in contact.members:
            times = [event.state.occurred_at for event in events if member in event.state.identifiers]
            if times:
                yield world, contact.label, *member, min(times), max(times), len(times)


def _goals(tables: Tables, labels: Mapping[tuple[str, str], Label]) -> Counter[Row]:
    columns = "goal_type goal_name currency event_count order_count value_sum value_min value_max first_at last_at"
    return _named(labels, tables["contact_goals"], *columns.split())


def _expected_goals(shown: Iterable[Event]) -> Iterable[Row]:
    for (world, contact), events in _by_contact(shown).items():
        groups: dict[tuple[str, str | None, str | None], list[Event]] = {}
        for event in events:
            state = event.state
            if state.goal_type is not None:
                groups.setdefault((state.goal_type, state.goal_name, state.currency), []).append(event)
        for goal, counted in groups.items():
            values = [event.state.value for event in counted if event.state.value is not None]
            times = [event.state.occurred_at for event in counted]
            orders = {event.state.order_id or event.state.content for event in counted}
            yield (
                world,
                contact.label,
                *goal,
                len(counted),
                len(orders),
                sum(values) if values else None,
                min(values, default=None),
                max(values, default=None),
                min(times),
                max(times),
            )


def _timeline(tables: Tables, labels: Mapping[tuple[str, str], Label]) -> Counter[Row]:
    places = {record["event_id"]: _place(record) for record in tables["events"].records()}
    found: Counter[Row] = Counter()
    for record in tables["contact_timeline"].records():
        label = labels.get((record["workspace_id"], record["contact_id"]), "a contact without events")
        changes = {} if record["changes"] is None else json.loads(record["changes"])
        told = {key: (each.get("old"), each.get("new")) for key, each in changes.items()}
        at, kind = record["occurred_at"], record["entry_type"]
        found[(label, places[record["event_id"]], kind, at, _canonical(told))] += 1
    return found


def _expected_timeline(oracle: Oracle) -> Iterable[Row]:
    for contact, entry in oracle.timeline():
        yield contact.label, entry.event, entry.entry_type, entry.occurred_at, _canonical(entry.changes or {})


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
