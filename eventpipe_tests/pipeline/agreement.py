"""Holding the published tables against the oracle's answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import md5
from typing import Any

from eventpipe_tests.identity.reference import Contact
from eventpipe_tests.pipeline.oracle import Event, Oracle, set_text
from eventpipe_tests.pipeline.published import Row, Table, Tables
from eventpipe_tests.pipeline.reports import Place

Label = tuple[str, str]


def assert_agrees(tables: Tables, oracle: Oracle) -> None:
    """Fails where the tables say anything else than the oracle: versions, events, contacts, identity, goals, timelines."""
    _same("event_versions", _versions(tables), Counter(oracle.status().items()))
    shown = [event for event in oracle.events if not event.superseded]
    _same("events", _events(tables), Counter(map(_expected_event, shown)))
    labels = _labels(tables, shown)
    _same("contacts", _contacts(tables, labels), Counter(_expected_contacts(shown)))
    _same("contact_identifiers", _identifiers(tables, labels), Counter(_expected_identifiers(shown)))
    assert_identity_agrees(tables, oracle)
    _same("contact_goals", _goals(tables, labels), Counter(_expected_goals(shown)))
    _same("contact_timeline", _timeline(tables, labels), Counter(_expected_timeline(oracle)))
    _same("contact.merged on the timeline", _told_merges(tables), _shown_merges(tables))


def assert_identity_agrees(tables: Tables, oracle: Oracle) -> None:
    """Fails where aliases, merges or refused ties are others than the reference says."""
    ids = _ids(tables, oracle)
    _same("contact_aliases", _aliases(tables), Counter(_expected_aliases(oracle, ids)))
    first_events = _first_events(tables)
    _same("contact_merges", _merges(tables), Counter(_expected_merges(oracle, ids, first_events)))
    _same("identity_conflicts", _conflicts(tables), Counter(_expected_conflicts(oracle, ids, first_events)))


def _ids(tables: Tables, oracle: Oracle) -> dict[tuple[str, Label], str]:
    """The contact id that each identifier or set gives, as the README says it is made. Every contact has such a one."""
    ids = {
        (world, label): md5(chr(0).join((kind, world, *parts)).encode()).hexdigest()
        for world, book in oracle.books.items()
        for kind, label, parts in (
            *(("contact", identifier, identifier) for identifier in book.first_seen),
            *(("set", ("the set", each.text), (each.text,)) for each in book.sets),
        )
    }
    assert {record["contact_id"] for record in tables["contacts"].records()} <= set(ids.values())
    return ids


def _aliases(tables: Tables) -> Counter[Row]:
    return Counter(
        (record["workspace_id"], record["alias_id"], record["contact_id"])
        for record in tables["contact_aliases"].records()
    )


def _expected_aliases(oracle: Oracle, ids: Mapping[tuple[str, Label], str]) -> Iterable[Row]:
    for world, book in oracle.books.items():
        for identifier in book.first_seen:
            contact = book.holder(identifier)
            assert contact is not None
            yield world, ids[world, identifier], ids[world, contact.label]
        for each in book.sets:
            if len(each.members) > 1 and not any(book.rules.known(member) for member in each.members):
                yield world, ids[world, ("the set", each.text)], ids[world, book.contact_of(each).label]


def _first_events(tables: Tables) -> dict[tuple[str, str | None, datetime], str]:
    """Of each identifier set and instant the first live event, by its id."""
    found: dict[tuple[str, str | None, datetime], str] = {}
    for record in tables["events"].records():
        if record["deletion"] != "deleted":
            key = (record["workspace_id"], record["identifiers"], record["occurred_at"])
            found[key] = min(record["event_id"], found.get(key, record["event_id"]))
    return found


_MERGE = "workspace_id from_contact_id into_contact_id contact_id effective_at event_id".split()
_CONFLICT = (
    "workspace_id left_type left_value left_contact_id right_type right_value right_contact_id rule occurred_at event_id"
).split()


def _merges(tables: Tables) -> Counter[Row]:
    return Counter(tuple(record[name] for name in _MERGE) for record in tables["contact_merges"].records())


def _expected_merges(
    oracle: Oracle,
    ids: Mapping[tuple[str, Label], str],
    first_events: Mapping[tuple[str, str | None, datetime], str],
) -> Iterable[Row]:
    for world, book in oracle.books.items():
        for merge in book.merges:
            contact = book.holder(merge.stayed)
            assert contact is not None
            yield (
                world,
                ids[world, merge.ended],
                ids[world, merge.stayed],
                ids[world, contact.label],
                merge.effective_at,
                first_events[world, merge.text, merge.effective_at],
            )


def _conflicts(tables: Tables) -> Counter[Row]:
    return Counter(tuple(record[name] for name in _CONFLICT) for record in tables["identity_conflicts"].records())


def _expected_conflicts(
    oracle: Oracle,
    ids: Mapping[tuple[str, Label], str],
    first_events: Mapping[tuple[str, str | None, datetime], str],
) -> Iterable[Row]:
    for world, book in oracle.books.items():
        for refusal in book.refused:
            left, right = book.holder(refusal.left), book.holder(refusal.right)
            assert left is not None
            assert right is not None
            yield (
                world,
                *refusal.left,
                ids[world, left.label],
                *refusal.right,
                ids[world, right.label],
                refusal.rule,
                refusal.occurred_at,
                first_events[world, refusal.text, refusal.occurred_at],
            )


def _same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    missing, surplus = expected - found, found - expected
    lines = [f"  expected, not found: {row}" for row in sorted(missing, key=repr)[:6]]
    lines += [f"  found, not expected: {row}" for row in sorted(surplus, key=repr)[:6]]
    assert not lines, "\n".join([f"{what}: {missing.total()} missing, {surplus.total()} too many", *lines])


def _place(record: Mapping[str, Any]) -> Place:
    return Place(record["landed_on"], record["file"], record["line"], record["source"], record["index"] or 0)


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
        set_text(state.identifiers) if state.identifiers else None,
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
        if record["entry_type"] == "contact.merged":
            continue
        label = labels.get((record["workspace_id"], record["contact_id"]), "a contact without events")
        changes = {} if record["changes"] is None else json.loads(record["changes"])
        told = {key: (each.get("old"), each.get("new")) for key, each in changes.items()}
        at, kind = record["occurred_at"], record["entry_type"]
        found[(label, places[record["event_id"]], kind, at, _canonical(told))] += 1
    return found


def _told_merges(tables: Tables) -> Counter[Row]:
    return Counter(
        (
            record["workspace_id"],
            record["contact_id"],
            record["occurred_at"],
            record["event_id"],
            *(json.loads(record["changes"])["contact_id"][side] for side in ("old", "new")),
        )
        for record in tables["contact_timeline"].records()
        if record["entry_type"] == "contact.merged"
    )


def _shown_merges(tables: Tables) -> Counter[Row]:
    """What contact_merges, which is held against the reference, says."""
    columns = "workspace_id contact_id effective_at event_id from_contact_id into_contact_id".split()
    return Counter(tuple(record[name] for name in columns) for record in tables["contact_merges"].records())


def _expected_timeline(oracle: Oracle) -> Iterable[Row]:
    for contact, entry in oracle.timeline():
        yield contact.label, entry.event, entry.entry_type, entry.occurred_at, _canonical(entry.changes or {})


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
