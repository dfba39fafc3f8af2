"""Source-systems: what the records of the four vendors send, as JSON by canonical field.

`others` are further identifiers beside those of the columns. Left out: records that mix two generations of field names,
Customer.io's exports to storage and its merges of two people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from eventpipe_tests.intake.reference.lines import Record
from eventpipe_tests.intake.reference.values import Number, email, number, text, unpacked

Fields = dict[str, Any]
KINDS = ("track", "identify", "alias", "page", "screen")
UNNAMED = ("identify", "alias")


def first(record: Record, *names: str) -> Any:
    """Of these fields the first that says something."""
    return next((record[name] for name in names if text(record.get(name)) is not None), None)


def kind_of(value: Any) -> str:
    """What is called anything else, or nothing, happened: it is tracked."""
    said = (text(value) or "").lower()
    return {"merge": "alias"}.get(said, said if said in KINDS else "track")


def _object(value: Any) -> Record:
    with suppress(ValueError):
        found = unpacked(value)
        return found if isinstance(found, dict) else {}
    return {}


def _given(**fields: Any) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}


def canonical(record: Record) -> Fields:
    """Its own columns. `deleted_at` may be null on purpose."""
    return {name: value for name, value in record.items() if value is not None or name == "deleted_at"}


def redo(record: Record) -> Fields:
    """v0 and v1 in snake case with `properties`; v2 with `data` and a customer, who may also be drawn as one text."""
    drawn = record["customer"].strip() if isinstance(record.get("customer"), str) else ""
    person, said = _object(record.get("customer")), first(record, "data", "properties")
    data = _object(said)
    details = {"first_name": first(person, "firstName"), "location": person.get("location")}
    is_email, is_phone = email(drawn) is not None, drawn.startswith("+")
    return _given(
        event_name=first(record, "eventName", "event_name"),
        customer_id=first(person, "id")
        or first(record, "customer_id")
        or (None if is_email or is_phone else drawn or None),
        email=first(person, "email") or first(record, "email") or (drawn if is_email else None),
        phone=first(person, "phoneNumber") or first(record, "phone") or (drawn if is_phone else None),
        dedupe_key=first(record, "uniqueId", "unique_id"),
        occurred_at=first(record, "eventTimestamp", "event_timestamp"),
        value=record.get("value"),
        currency=first(record, "valueCurrency", "value_currency"),
        properties={name: each for name, each in data.items() if name != "$extra" and not _unset(each)}
        if data
        else said,
        extra=data.get("$extra"),
        traits=_given(**details) or None,
    )


def _unset(value: Any) -> bool:
    return value in (None, "") or (isinstance(value, Number) and number(value) == 0)


def notifuse(record: Record) -> Fields:
    """The body of an upsert."""
    names = {"dedupe_key": "external_id", "value": "goal_value"}
    alike = ("workspace_id", "event_name", "email", "occurred_at", "goal_type", "goal_name", "properties", "deleted_at")
    names |= {name: name for name in alike}
    return canonical({ours: record[theirs] for ours, theirs in names.items() if theirs in record})


def customerio(record: Record) -> Fields:
    """Bodies of the track API, v2 with `action` and v1 with `data`, and the calls of Pipelines.

    Traits of an identify name the person too, attributes and properties of an event do not.
    """
    kind, is_group = kind_of(record.get("action", record.get("type"))), record.get("type") == "group"
    said, traits = first(record, "data", "properties", "attributes"), record.get("traits")
    if kind == "identify" and "action" in record:
        said, traits = None, said
    if is_group:
        said, traits = {**_object(traits), **_given(group_id=record.get("groupId"))}, None
    told = [_object(record.get("identifiers")), {**record, "id": None}, _object(traits) if kind == "identify" else {}]
    spelled = {"customer_id": ("id", "customer_id", "userId"), "email": ("email",), "phone": ("phone",)}
    who = {
        field: next((each for one in told if (each := first(one, *names))), None) for field, names in spelled.items()
    }
    return _given(
        kind=kind,
        event_name=None if kind in UNNAMED else first(record, "name", "event") or ("group" if is_group else None),
        **who,
        anonymous_id=first(record, "anonymous_id", "anonymousId"),
        others=_before(first(record, "previousId"), first(record, "anonymousId")),
        dedupe_key=first(record, "id", "messageId"),
        occurred_at=first(record, "timestamp"),
        properties=None if kind in UNNAMED else said,
        traits=traits,
    )


def _before(previous: Any, device: Any) -> Fields:
    """Whom an alias names beside its user: an address, the device or, where that is named beside it, another user."""
    is_user = device is not None and text(device) != text(previous)
    return _given(**{"email" if "@" in (previous or "") else "customer_id" if is_user else "anonymous_id": previous})


def arsel(record: Record) -> Fields:
    """The body of a send, which names exactly one person."""
    return _given(
        event_name=record.get("event"),
        customer_id=record.get("contact_id"),
        email=record.get("email"),
        phone=record.get("phone_number"),
        occurred_at=record.get("timestamp"),
        properties=record.get("data"),
    )


PRESETS: Mapping[str, Callable[[Record], Fields]] = {
    "canonical": canonical,
    "redo": redo,
    "notifuse": notifuse,
    "customerio": customerio,
    "arsel": arsel,
}
