"""Spec 1, sections 5 and 6, word by word and slowly, in plain Python: what the tables must say of some landed reports.

It shares no code with the models. Where the specification leaves something open, what the models do is written here
as a sentence, so that it is decided once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from eventpipe_tests.identity.reference import ByTheBook, Contact, IdentifierSet, Rules
from eventpipe_tests.pipeline.reports import Deletion, Identifier, Landed, Place, Report


@dataclass(frozen=True)
class Source:
    """What decides between reports of a source."""

    on_conflict: Literal["first_wins", "latest_wins"]
    authority: int = 0
    key_scope: Literal["none", "event_name"] = "none"
    compat: bool = False


@dataclass(frozen=True)
class State:
    """An event as it stands. `content` is the place of the version whose content it has."""

    content: Place
    event_name: str
    identifiers: tuple[Identifier, ...]
    occurred_at: datetime
    order_id: str | None
    order_key: str | None
    goal_type: str | None
    goal_name: str | None
    value: Decimal | None
    currency: str | None
    properties: Mapping[str, Any]
    deletion: Deletion
    deleted_at: datetime | None
    known: bool = True
    """False while only deletions of it have landed: what it was is not known yet."""

    @property
    def live(self) -> bool:
        return self.deletion != "deleted"

    @property
    def set_text(self) -> str:
        return set_text(self.identifiers)


@dataclass(frozen=True)
class Entry:
    """A row of the timeline that an event makes. `changes` has (old, new) per key."""

    event: Place
    entry_type: str
    occurred_at: datetime
    changes: Mapping[str, tuple[Any, Any]] | None = None


@dataclass(frozen=True)
class Event:
    """An event and its reports; `superseded`: another report of the same order stands before it."""

    world: str
    source: str
    reports: tuple[Landed, ...]
    state: State
    superseded: bool
    contact: Contact | None

    @property
    def counts(self) -> bool:
        return self.state.live and not self.superseded


class Oracle:
    """What the reports amount to, as of an instant."""

    def __init__(
        self,
        landed: Iterable[Landed],
        as_of: datetime,
        sources: Mapping[str, Source],
        rules: Rules,
        blocked: Iterable[str] = (),
        deduped: Iterable[str] = (),
    ) -> None:
        self._sources = sources
        self._rules = rules
        self._blocked = frozenset(blocked)
        self._deduped = frozenset(deduped)
        everything = sorted(landed, key=lambda each: each.place)
        self.future = [each.place for each in everything if each.report.occurred_at > as_of]
        groups: dict[object, list[Landed]] = defaultdict(list)
        for each in everything:
            if each.report.occurred_at <= as_of:
                groups[self._identity(each)].append(each)
        found = [self._event(reports) for reports in groups.values()]
        found = self._one_per_order(found)
        self.books = self._books(found)
        self.events = [replace(event, contact=self._contact(event, self.books[event.world])) for event in found]

    def status(self) -> dict[Place, str]:
        """Each accepted report with its part: current, superseded or future."""
        found = dict.fromkeys(self.future, "future")
        for event in self.events:
            for each in event.reports:
                current = each.place == event.state.content and not event.superseded
                found[each.place] = "current" if current else "superseded"
        return found

    def timeline(self) -> list[tuple[Contact, Entry]]:
        """What stands on whose timeline: live events in their current version, and each change that was applied."""
        return [
            (event.contact, entry)
            for event in self.events
            if event.contact is not None and not event.superseded
            for entry in self._entries(event)
        ]

    def _identity(self, each: Landed) -> object:
        report, source = each.report, self._sources[each.report.source]
        if report.key is None:
            return (report.world, each.place)
        scope = report.event_name if source.key_scope == "event_name" else ""
        return (report.world, report.source, scope, report.key)

    def _event(self, reports: Sequence[Landed]) -> Event:
        first = reports[0].report
        return Event(first.world, first.source, tuple(reports), self._state(reports), False, None)

    def _state(self, reports: Sequence[Landed]) -> State:
        """Reports of one event, in landing order, as one."""
        source = self._sources[reports[0].report.source]
        if source.compat:
            return _as_notifuse_does(reports)
        # A report that deletes says that the event is gone, not what it was. Where all do, the first is all there is.
        telling = [each for each in reports if each.report.deletion != "deleted"]
        known = bool(telling)
        telling = telling or [reports[0]]
        if source.on_conflict == "first_wins":
            content = goal = telling[0]
        else:
            content = _newest(telling)
            goal = _newest([each for each in telling if each.report.has_goal] or [content])
        state = replace(_told(content, goal.report), known=known)
        for each in reports:
            if each.report.deletion == "deleted":
                state = replace(state, deletion="deleted", deleted_at=each.report.deleted_at)
            if each.report.deletion == "restored":
                state = replace(state, deletion="restored", deleted_at=None)
        return state

    def _one_per_order(self, events: list[Event]) -> list[Event]:
        orders: dict[object, list[Event]] = defaultdict(list)
        for event in events:
            state = event.state
            if state.live and state.order_key is not None and state.event_name in self._deduped:
                orders[(event.world, state.event_name, state.order_key)].append(event)
        superseded: set[Place] = set()
        for reporting in orders.values():
            kept = min(reporting, key=lambda event: (-self._sources[event.source].authority, event.reports[0].place))
            superseded.update(event.reports[0].place for event in reporting if event is not kept)
        return [replace(event, superseded=event.reports[0].place in superseded) for event in events]

    def _books(self, events: list[Event]) -> dict[str, ByTheBook]:
        """Who is who in each world; deleted events tie nothing and are shown with whoever is there without them."""
        books: dict[str, ByTheBook] = {}
        for world in {event.world for event in events}:
            first: dict[str, IdentifierSet] = {}
            for event in events:
                state = event.state
                members = self._usable(state.identifiers)
                if event.world != world or not event.counts or not members:
                    continue
                seen = first.get(state.set_text)
                if seen is None or state.occurred_at < seen.first_occurred_at:
                    first[state.set_text] = IdentifierSet(state.set_text, state.occurred_at, members)
            books[world] = ByTheBook(first.values(), self._rules)
        return books

    def _contact(self, event: Event, book: ByTheBook) -> Contact | None:
        if event.superseded:
            return None
        for each in book.sets:
            if each.text == event.state.set_text:
                return book.contact_of(each)
        usable = self._usable(event.state.identifiers)
        for member in sorted(usable, key=self._rules.strength):
            contact = book.holder(member)
            if contact is not None:
                return contact
        return None

    def _usable(self, identifiers: Iterable[Identifier]) -> frozenset[Identifier]:
        return frozenset(each for each in identifiers if each[1] not in self._blocked)

    def _entries(self, event: Event) -> Iterable[Entry]:
        content = event.state.content
        if event.state.live:
            yield Entry(content, "event", event.state.occurred_at)
        before: State | None = None
        for number in range(1, len(event.reports) + 1):
            report = event.reports[number - 1].report
            after = self._state(event.reports[:number])
            gone = before is not None and not before.live
            changes = {} if before is None else _changes(before, after)
            if not after.live and not gone:
                at = report.deleted_at or report.occurred_at
                yield Entry(content, "event.deleted", at, changes)
            elif after.live and gone:
                yield Entry(content, "event.restored", report.occurred_at, changes)
            elif after.live and changes:
                yield Entry(content, "event.updated", report.occurred_at, changes)
            before = after


def set_text(identifiers: Iterable[Identifier]) -> str:
    """An identifier set as the tables write it."""
    return json.dumps([list(each) for each in identifiers], separators=(",", ":"), ensure_ascii=False)


def _newest(reports: Sequence[Landed]) -> Landed:
    """Of equally new ones the first landed."""
    return max(reports, key=lambda each: each.report.occurred_at)


def _told(content: Landed, goal: Report) -> State:
    report = content.report
    return State(
        content=content.place,
        event_name=report.event_name,
        identifiers=report.identifiers,
        occurred_at=report.occurred_at,
        order_id=report.order_id,
        order_key=report.order_key,
        goal_type=goal.goal_type,
        goal_name=goal.goal_name,
        value=goal.value,
        currency=None if goal.value is None else goal.currency or "USD",
        properties=dict(report.properties),
        deletion="unchanged",
        deleted_at=None,
    )


def _as_notifuse_does(reports: Sequence[Landed]) -> State:
    """The server's upsert, statement by statement."""
    first = reports[0]
    row = _told(first, first.report)
    row = replace(row, deletion=_said(first.report, False), deleted_at=first.report.deleted_at)
    was_deleted = not row.live
    for each in reports[1:]:
        sent = each.report
        if sent.occurred_at > row.occurred_at or sent.deleted_at != row.deleted_at:
            new = _told(each, sent)
            row = replace(
                new,
                occurred_at=max(row.occurred_at, sent.occurred_at),
                goal_type=row.goal_type if sent.goal_type is None else sent.goal_type,
                goal_name=row.goal_name if sent.goal_name is None else sent.goal_name,
                value=row.value if sent.value is None else sent.value,
                currency=row.currency if sent.value is None else new.currency,
                deletion=_said(sent, was_deleted),
                deleted_at=sent.deleted_at,
            )
        was_deleted = was_deleted or not row.live
    return row


def _said(report: Report, was_deleted: bool) -> Deletion:
    """Absent and null are the same thing to that server; what was said outright is kept all the same."""
    if report.deleted_at is not None:
        return "deleted"
    return "restored" if was_deleted or report.deletion == "restored" else "unchanged"


def _changes(before: State, after: State) -> dict[str, tuple[Any, Any]]:
    old, new = _shown(before), _shown(after)
    if not before.known:
        old, new = {"deleted_at": old["deleted_at"]}, {"deleted_at": new["deleted_at"]}
    return {
        key: (old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    }


def _shown(state: State) -> dict[str, Any]:
    return dict(state.properties) | {
        "email": dict(state.identifiers).get("email"),
        "goal_type": state.goal_type,
        "goal_name": state.goal_name,
        "value": None if state.value is None else float(state.value),
        "currency": state.currency,
        "occurred_at": _instant(state.occurred_at),
        "deleted_at": None if state.deleted_at is None else _instant(state.deleted_at),
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
