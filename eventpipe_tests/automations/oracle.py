"""Automations by the letter of docs/automations.md: every candidate by itself, from plain lists, as slowly as it likes.

It shares no code with `eventpipe.automations`: what a definition means is read here from its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """A row of the accepted stream, as it is now, of the contact that has it now."""

    event_id: str
    name: str
    contact: str | None
    at: datetime
    value: float
    cart: str | None
    source: str
    is_deleted: bool
    is_quiet: bool


@dataclass(frozen=True)
class Facts:
    """All that a run knows. `changes` are those of membership: contact, and whether it entered."""

    as_of: datetime
    events: Sequence[Event]
    merged: Mapping[str, str]
    plans: Mapping[str, str]
    members: frozenset[str]
    changes: Sequence[tuple[str, bool]]
    held: frozenset[tuple[str, str]]

    def current(self, contact: str) -> str:
        """Who a contact is now."""
        return self.current(self.merged[contact]) if contact in self.merged else contact

    def contacts(self) -> set[str]:
        """Those that there are."""
        return {each.contact for each in self.events if each.contact and not each.is_deleted}


@dataclass
class Candidate:
    """What an automation could be triggered by, and what became of it."""

    automation: str
    occasion: str
    contact: str
    at: datetime
    event: Event | None
    status: str = "new"
    reason: str | None = None

    def skip(self, reason: str) -> None:
        """It does not fire."""
        self.status, self.reason = "skipped", reason


@dataclass
class Oracle:
    """What was decided so far."""

    candidates: dict[tuple[str, str], Candidate] = field(default_factory=dict)
    fired: list[tuple[str, str, str, datetime]] = field(default_factory=list)
    """Automation, contact, occasion, fired at."""

    _known: set[str] = field(default_factory=set)
    _active: dict[str, tuple[str, str]] = field(default_factory=dict)

    def outcomes(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """Status and reason by automation and occasion."""
        return {key: (each.status, each.reason) for key, each in self.candidates.items()}

    def run(self, facts: Facts, definitions: Sequence[Definition]) -> None:
        """Decides as of the facts."""
        awaits = {
            each["name"]: next((kind, str(what)) for kind, what in each["trigger"].items() if kind != "where")
            for each in definitions
        }
        begun = {name for name in awaits if self._active.get(name) != awaits[name]}
        self._active = awaits
        for each in self.candidates.values():
            if each.status in ("waiting", "held") and (each.automation in begun or each.automation not in awaits):
                each.skip("inactive")
        for definition in definitions:
            if definition["name"] not in begun:
                for new in self._found(definition, facts):
                    self.candidates.setdefault((new.automation, new.occasion), new)
            self._judge(definition, facts)
        self._known |= {each.event_id for each in facts.events}

    def _found(self, definition: Definition, facts: Facts) -> list[Candidate]:
        """What is new to all runs so far and qualifies."""
        name, trigger = definition["name"], definition["trigger"]
        if "event" in trigger:
            return [
                Candidate(name, each.event_id, each.contact, each.at, each)
                for each in facts.events
                if each.event_id not in self._known
                and each.name == trigger["event"]
                and each.contact
                and not each.is_deleted
                and not each.is_quiet
                and _passes(each, trigger)
            ]
        enters = "segment_entered" in trigger
        instant = f"{facts.as_of:%Y-%m-%dT%H:%M:%S.%fZ}"
        quiet = {each.contact for each in facts.events if each.is_quiet and each.event_id not in self._known}
        return [
            Candidate(name, f"vip:{contact}:{instant}", contact, facts.as_of, None)
            for contact, entered in facts.changes
            if entered == enters and contact not in quiet
        ]

    def _judge(self, definition: Definition, facts: Facts) -> None:
        open_ones = [
            each
            for each in self.candidates.values()
            if each.automation == definition["name"] and each.status in ("new", "waiting", "held")
        ]
        for each in open_ones:
            self._look(each, definition, facts)
        ready = sorted(
            (each for each in open_ones if each.status == "ready"), key=lambda each: (each.at, each.occasion)
        )
        for each in ready:
            if self._had_its_share(each, definition, facts):
                each.skip("frequency")
            else:
                each.status, each.reason = "fired", None
                self.fired.append((each.automation, facts.current(each.contact), each.occasion, facts.as_of))

    def _look(self, one: Candidate, definition: Definition, facts: Facts) -> None:
        """All that can stop it, but other triggers."""
        as_of, latest = facts.as_of, span(definition.get("max_lateness", "72h"))
        due = one.at + span(definition.get("wait", "0s"))
        now = next((each for each in facts.events if one.event and each.event_id == one.event.event_id), None)
        one.contact = (now.contact if now else None) or facts.current(one.contact)
        if one.status == "new" and as_of - one.at > latest:
            one.skip("too_late")
        elif one.event and (one.event.source, one.event.name) in facts.held:
            one.status, one.reason = "held", "held"
        elif due > as_of:
            one.status, one.reason = "waiting", None
        elif now is not None and now.is_deleted:
            one.skip("condition")
        elif one.contact not in facts.contacts():
            one.skip("erased")
        elif one.event and now is None:
            one.skip("condition")
        elif as_of - due > latest:
            one.skip("too_late")
        elif any(_exits(each, one, now, definition) for each in facts.events):
            one.skip("exited")
        elif not _holds(definition.get("only_if"), one.contact, facts):
            one.skip("condition")
        else:
            one.status, one.reason = "ready", None

    def _had_its_share(self, one: Candidate, definition: Definition, facts: Facts) -> bool:
        theirs = [
            at
            for automation, contact, _, at in self.fired
            if automation == one.automation and facts.current(contact) == one.contact
        ]
        frequency = definition.get("frequency", "every_time")
        if frequency == "every_time":
            # A contact enters a segment once at a time, also when it was two contacts then.
            return one.event is None and facts.as_of in theirs
        if frequency == "once":
            return bool(theirs)
        return any(facts.as_of - at < span(frequency["every"]) for at in theirs)


def span(written: str) -> timedelta:
    """`90s`, `1h`, `7d` as a length of time."""
    return timedelta(seconds=int(written[:-1]) * _UNITS[written[-1]])


def _passes(event: Event, asked: Definition) -> bool:
    bounds = asked.get("where", {}).get("value")
    return bounds is None or bool(event.value >= bounds["gte"])


def _exits(event: Event, one: Candidate, now: Event | None, definition: Definition) -> bool:
    """Whether this event of the contact makes the trigger pointless."""
    unless = definition.get("unless")
    if unless is None or event.is_deleted or event.contact != one.contact or not _passes(event, unless):
        return False
    if event.name not in (unless.get("any_event") or [unless["event"]]):
        return False
    if unless.get("match") and (now is None or event.cart is None or event.cart != now.cart):
        return False
    if event.at != one.at:
        return event.at > one.at
    # In the same instant: who has bought gets no reminder; of two that could exit each other, the second does.
    return event.event_id != one.occasion and (
        event.name != definition["trigger"].get("event") or event.event_id > one.occasion
    )


def _holds(condition: Definition | None, contact: str, facts: Facts) -> bool:
    match condition:
        case None:
            return True
        case {"not": inner}:
            return not _holds(inner, contact, facts)
        case {"segment": _}:
            return contact in facts.members
        case {"contact": "traits.plan", "equals": plan}:
            return bool(facts.plans.get(contact) == plan)
        case {"event": name, "in_last": length}:
            return any(
                each.contact == contact
                and each.name == name
                and not each.is_deleted
                and facts.as_of - span(length) < each.at
                for each in facts.events
            )
    raise AssertionError(condition)
