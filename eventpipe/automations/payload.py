"""What a trigger carries: values of the event, of its contact and of the membership, with their types kept.

A name is, in this order: `contact.` and a column or a trait of the contact; an identifier, as the contact has it now, else
as the event carried it; `segment`; a property of the event; the field of the event that it maps to, or that has the name. What
is not there is null.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from eventpipe.automations.findings import CONTACT_PREFIX, ROW_FIELDS, SEGMENT
from eventpipe.automations.grammar import Automation, EventTrigger
from eventpipe.segments.expressions import column, sql
from eventpipe.segments.names import IS_ANONYMOUS, NUMBER_FIELDS, TEXT_FIELDS, Names
from eventpipe.segments.selection import event_attribute, field_of
from eventpipe.segments.values import amount_text
from eventpipe.sql import literal

_CONTACT_COLUMNS: Final = ("contact_id", IS_ANONYMOUS, "first_seen_at", "last_seen_at", *NUMBER_FIELDS, *TEXT_FIELDS)
_EVENT_IDENTIFIERS: Final = ("customer_id", "email", "phone", "anonymous_id")
_INSTANTS: Final = ("first_seen_at", "last_seen_at", "occurred_at")

# The engine would write a decimal by way of a binary fraction.
_MONEY: Final = f"cast({sql(amount_text(column('events', 'value')))} as json)"


def payload_sql(automation: Automation, names: Names) -> str:
    """A JSON object, over a row that joins `ready` (contact_id, segment), `events` and `contacts`."""
    pairs = ", ".join(
        f"{literal(name)}, {_value(name, automation, names)}" for name in dict.fromkeys(automation.payload)
    )
    return f"json_object({pairs})"


def _value(name: str, automation: Automation, names: Names) -> str:
    of_event = isinstance(automation.trigger, EventTrigger)
    if name.startswith(CONTACT_PREFIX):
        return _of_contact(name.removeprefix(CONTACT_PREFIX), names)
    if name in names.identifiers:
        theirs = _identifier(name, names)
        return f"coalesce({theirs}, events.{name})" if of_event and name in _EVENT_IDENTIFIERS else theirs
    if not of_event:
        return "ready.segment" if name == SEGMENT else "null"
    assert isinstance(automation.trigger, EventTrigger)
    event = automation.trigger.event
    found = event_attribute(name, names, (event,)).json
    assert found is not None
    parts = [sql(_qualified(found))]
    field = name if name in ROW_FIELDS else field_of(name, names.declared(name, (event,)).get(names.event(event)))
    if field is not None:
        parts.append(_MONEY if field == "value" else f"to_json({_column('events', field)})")
    return f"coalesce({', '.join(parts)})"


def _of_contact(name: str, names: Names) -> str:
    if name in names.identifiers:
        return _identifier(name, names)
    if name in _CONTACT_COLUMNS:
        return _column("contacts", name)
    pointer = "/" + name.removeprefix("traits.").replace("~", "~0").replace("/", "~1")
    return f"json_extract(contacts.traits, {literal(pointer)})"


def _identifier(name: str, names: Names) -> str:
    if names.has_column(name):
        return f"contacts.{name}"
    return (
        "(select arg_max(held.identifier_value, (held.last_seen_at, held.identifier_value))"
        " from main.contact_identifiers as held"
        f" where held.contact_id = ready.contact_id and held.identifier_type = {literal(name)})"
    )


def _column(table: str, name: str) -> str:
    if name in _INSTANTS:
        return f"strftime({table}.{name} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"{table}.{name}"


def _qualified(tree: exp.Expr) -> exp.Expr:
    """The same over the table `events`, in a query that has others beside it."""
    tree = tree.copy()
    for each in tree.find_all(exp.Column):
        each.set("table", exp.to_identifier("events"))
    return tree
