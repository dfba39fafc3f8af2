"""Spec 3, "Segments", word by word and slowly: whether a definition, as plain data, holds of a contact.

It shares no code with the compiler, and takes definitions as a file would have them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

Definition = Mapping[str, Any]

FIELDS = ("value", "currency", "order_id", "goal_type", "goal_name", "source")
RFM_NUMBERS = ("r_score", "f_score", "m_score", "recency_days", "frequency", "monetary")


@dataclass(frozen=True)
class Event:
    contact_id: str
    event_id: str
    event_name: str
    occurred_at: datetime
    goal_type: str | None = None
    goal_name: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    order_id: str | None = None
    properties: Mapping[str, Any] | None = None
    deletion: str = "unchanged"
    source: str = "web"


@dataclass(frozen=True)
class Contact:
    contact_id: str
    first_seen_at: datetime
    is_anonymous: bool = False
    email: str | None = None
    traits: Mapping[str, Any] | None = None
    identifiers: frozenset[str] = frozenset()
    rfm: Mapping[str, Mapping[str, Any]] | None = None
    """By currency."""


@dataclass(frozen=True)
class World:
    """Some contacts and their events, at an instant."""

    contacts: Sequence[Contact]
    events: Sequence[Event]
    as_of: datetime
    timezone: str = "UTC"
    currency: str = "USD"

    def members(self, definitions: Mapping[str, Definition], name: str) -> set[str]:
        """The ids of those for whom the definition of this name holds."""
        return {each.contact_id for each in self.contacts if self.holds(definitions[name], each, definitions)}

    def holds(self, where: Definition, contact: Contact, definitions: Mapping[str, Definition]) -> bool:
        if "all" in where:
            return all(self.holds(each, contact, definitions) for each in where["all"])
        if "any" in where:
            return any(self.holds(each, contact, definitions) for each in where["any"])
        if "not" in where:
            return not self.holds(where["not"], contact, definitions)
        if "segment" in where:
            return self.holds(definitions[where["segment"]], contact, definitions)
        if "contact" in where:
            return self._contact(where, contact)
        if "rfm" in where:
            return self._rfm(where, contact)
        if "goal" in where:
            return self._goal(where, contact)
        return self._event(where, contact)

    def _theirs(self, contact: Contact) -> list[Event]:
        mine = [each for each in self.events if each.contact_id == contact.contact_id and each.deletion != "deleted"]
        return sorted(mine, key=lambda each: (each.occurred_at, each.event_id))

    def _goal(self, where: Definition, contact: Contact) -> bool:
        such = [
            each
            for each in self._theirs(contact)
            if (each.goal_type is not None if where["goal"] == "any" else each.goal_type == where["goal"])
            and where.get("goal_name") in (None, each.goal_name)
            and where.get("event") in (None, each.event_name)
        ]
        counted = self._kept(where, such)
        aggregate = where.get("aggregate", "count")
        if aggregate in ("count", "orders"):
            if "currency" in where:
                counted = [each for each in counted if each.currency == where["currency"]]
            if aggregate == "count":
                return _compares(where, Decimal(len(counted)), default=True)
            orders = {each.event_id if each.order_id is None else each.order_id for each in counted}
            return _compares(where, Decimal(len(orders)), default=True)
        currency = where.get("currency", self.currency)
        values = [each.value for each in counted if each.currency == currency and each.value is not None]
        if aggregate == "sum":
            return _compares(where, sum(values, Decimal(0)))
        if not values:
            return False
        if aggregate == "avg":
            mean = sum(values, Decimal(0)) / len(values)
            return _compares(where, mean.quantize(Decimal("0.0001"), ROUND_HALF_UP))
        return _compares(where, min(values) if aggregate == "min" else max(values))

    def _event(self, where: Definition, contact: Contact) -> bool:
        names = [where["event"]] if "event" in where else where["any_event"]
        theirs = self._theirs(contact)
        counted = self._kept(where, [each for each in theirs if each.event_name in names])
        without = where.get("without")
        if without:
            others = [each.occurred_at for each in theirs if each.event_name == without["event"]]
            limit = span(without["within"]) if "within" in without else timedelta.max
            counted = [
                each
                for each in counted
                if not any(
                    timedelta(0) < (at - each.occurred_at if "after" in without else each.occurred_at - at) <= limit
                    for at in others
                )
            ]
        return _compares(where.get("count", where), Decimal(len(counted)), default=True)

    def _kept(self, where: Definition, such: list[Event]) -> list[Event]:
        if where.get("first"):
            such = such[:1]
        if where.get("last"):
            such = such[-1:]
        return [each for each in such if self._in_time(where, each.occurred_at) and self._passes(where, each)]

    def _in_time(self, where: Definition, at: datetime) -> bool:
        assert at <= self.as_of
        if "in_last" in where and not at > self.as_of - span(where["in_last"]):
            return False
        bounds = where.get("between")
        if bounds and isinstance(bounds[0], str) and len(bounds[0]) > 10:
            if not datetime.fromisoformat(bounds[0]) <= at <= datetime.fromisoformat(bounds[1]):
                return False
        elif bounds and isinstance(bounds[0], str):
            local = at.astimezone(ZoneInfo(self.timezone)).date()
            if not date.fromisoformat(bounds[0]) <= local <= date.fromisoformat(bounds[1]):
                return False
        if "before" in where and not self._is_before(at, where["before"]):
            return False
        return not ("after" in where and self._is_before(at, where["after"]))

    def _is_before(self, at: datetime, written: str) -> bool:
        if len(written) == 10:
            return at.astimezone(ZoneInfo(self.timezone)).date() < date.fromisoformat(written)
        return at < in_zone(datetime.fromisoformat(written), ZoneInfo(self.timezone))

    def _passes(self, where: Definition, event: Event) -> bool:
        for name, test in where.get("where", {}).items():
            value = (event.properties or {}).get(name)
            if value is None and name in FIELDS:
                value = getattr(event, name)
            if not self._tested(value, test):
                return False
        return True

    def _tested(self, value: Any, test: Any) -> bool:
        if isinstance(test, list):
            test = {"in": test}
        if not isinstance(test, dict):
            test = {"eq": test}
        return all(self._one(value, operator, wanted) for operator, wanted in test.items())

    def _one(self, value: Any, operator: str, wanted: Any) -> bool:
        if operator == "exists":
            return (value is not None) == bool(wanted)
        if value is None:
            return False
        match operator:
            case "eq" | "equals":
                return _equal(value, wanted)
            case "ne":
                return not _equal(value, wanted)
            case "in":
                return any(_equal(value, each) for each in wanted)
            case "contains":
                if isinstance(value, list):
                    return any(text(each) == text(wanted) for each in value if each is not None)
                return text(wanted) in text(value)
            case "starts_with":
                return text(value).startswith(str(wanted))
            case "between":
                return self._one(value, "gte", wanted[0]) and self._one(value, "lte", wanted[1])
        found, bound = self._ordered(value, wanted)
        if found is None:
            return False
        return bool(
            {
                "gt": lambda: found > bound,
                "gte": lambda: found >= bound,
                "lt": lambda: found < bound,
                "lte": lambda: found <= bound,
                "more_than": lambda: found > bound,
                "at_least": lambda: found >= bound,
                "less_than": lambda: found < bound,
                "at_most": lambda: found <= bound,
            }[operator]()
        )

    def _ordered(self, value: Any, wanted: Any) -> tuple[Any, Any]:
        if not isinstance(wanted, str):
            return number(value), Decimal(str(wanted))
        zone = ZoneInfo(self.timezone)
        at = instant(text(value), zone)
        if len(wanted) > 10:
            return at, instant(wanted, zone)
        return None if at is None else at.astimezone(zone).date(), date.fromisoformat(wanted)

    def _contact(self, where: Definition, contact: Contact) -> bool:
        subject = where["contact"]
        rest = {key: value for key, value in where.items() if key != "contact"}
        if subject == "age":
            age = self.as_of - contact.first_seen_at
            return all(
                span(bound[0]) <= age <= span(bound[1])
                if name == "between"
                else {
                    "at_least": age >= span(bound),
                    "at_most": age <= span(bound),
                    "more_than": age > span(bound),
                    "less_than": age < span(bound),
                    "equals": age == span(bound),
                }[name]
                for name, bound in rest.items()
            )
        if subject == "is_anonymous":
            return contact.is_anonymous == bool(rest.get("equals", True))
        if subject == "anonymous_id":
            return (subject in contact.identifiers) == bool(rest.get("exists", True))
        value = contact.email if subject == "email" else (contact.traits or {}).get(subject.removeprefix("traits."))
        return all(self._one(value, name, wanted) for name, wanted in (rest or {"exists": True}).items())

    def _rfm(self, where: Definition, contact: Contact) -> bool:
        row = (contact.rfm or {}).get(where.get("currency", self.currency))
        if row is None:
            return False
        if where["rfm"] in RFM_NUMBERS:
            return _compares(where, Decimal(row[where["rfm"]]))
        if where["rfm"] in ("segment", "rfm_score"):
            value = row["rfm_segment" if where["rfm"] == "segment" else "rfm_score"]
            return value in map(str, [where["equals"]] if "equals" in where else where["in"])
        return bool(row["rfm_segment"] == where["rfm"])


def span(written: str) -> timedelta:
    return timedelta(hours=int(written[:-1]) * {"h": 1, "d": 24, "w": 7 * 24}[written[-1]])


def text(value: Any) -> str:
    """A property as JSON writes it, an amount as one writes it; text without its quotes."""
    if isinstance(value, str):
        return value
    return format(value.normalize(), "f") if isinstance(value, Decimal) else json.dumps(value, separators=(",", ":"))


def number(value: Any) -> Decimal | None:
    try:
        found = Decimal(text(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and "_" not in text(value) else None


def instant(written: str, zone: ZoneInfo) -> datetime | None:
    """What is written like 2026-01-31, 2026-01-31T18:00:00 (both of the project's timezone) or with an offset."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)?)?", written, re.ASCII):
        return None
    try:
        return in_zone(datetime.fromisoformat(written), zone)
    except ValueError:
        return None


def in_zone(at: datetime, zone: ZoneInfo) -> datetime:
    """Where a clock shows the same time twice, the second."""
    if at.tzinfo:
        return at
    return max(at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str | bool):
        return text(value) == text(wanted)
    return number(value) == Decimal(str(wanted))


def _compares(where: Definition, found: Decimal, *, default: bool = False) -> bool:
    given: Iterable[tuple[str, Any]] = [
        (name, where[name])
        for name in ("at_least", "at_most", "more_than", "less_than", "equals", "between")
        if name in where and not (name == "between" and isinstance(where[name][0], str))
    ]
    if not given:
        assert default
        return found >= 1
    return all(
        Decimal(str(bound[0])) <= found <= Decimal(str(bound[1]))
        if name == "between"
        else {
            "at_least": found >= Decimal(str(bound)),
            "at_most": found <= Decimal(str(bound)),
            "more_than": found > Decimal(str(bound)),
            "less_than": found < Decimal(str(bound)),
            "equals": found == Decimal(str(bound)),
        }[name]
        for name, bound in given
    )
