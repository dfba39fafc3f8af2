"""Whether one contact, with these events, meets a definition: as the product answers it, and the reference beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from eventpipe_tests.segments.asked import Engine
from eventpipe_tests.segments.reference import Contact, Definition, Event, World

AS_OF = datetime(2026, 4, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def engine() -> Engine:
    """One for all cases: each shows it a world of its own."""
    return Engine(World([], [], AS_OF))


def matches(where: Definition, *events: Event, timezone: str = "UTC", **contact: Any) -> bool:
    """Whether a contact with these events does; another one without events stands beside, and the reference agrees."""
    one = Contact("one", **({"first_seen_at": LONG_AGO} | contact))
    world = World([one, Contact("nobody", LONG_AGO)], events, AS_OF, timezone)
    engine().show(world)
    found = "one" in engine().finds(where)
    assert ("one" in engine().finds({"not": where})) != found
    assert ("one" in engine().finds_in_what_is_read(where)) == found
    assert found == world.holds(where, one, {})
    return found


def order(when: datetime = AS_OF, value: str | None = "10", number: int = 1, **fields: Any) -> Event:
    money: dict[str, Any] = {} if value is None else {"value": Decimal(value), "currency": "USD"}
    return Event("one", f"e{number}", "order.completed", when, "purchase", **(money | fields))
