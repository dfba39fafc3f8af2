"""Customer.io's bodies.

Forms: `v1` (track API, the person beside the event), `v2` (identifiers, action, attributes), `pipelines` (a
row of a storage export).
"""

from __future__ import annotations

import json
from typing import Any

from eventpipe.sample.properties import bits, iso, properties
from eventpipe.sample.report import Event, Report
from eventpipe.sample.spelling import spell_email

NAMES = {
    Event.SITE_VISIT: "site_visit",
    Event.EMAIL_CLICK: "email_click",
    Event.PRODUCT_VIEWED: "product_viewed",
    Event.ADDED_TO_CART: "added_to_cart",
    Event.CHECKOUT_STARTED: "checkout_started",
    Event.ORDER_COMPLETED: "order_completed",
    Event.ORDER_REFUNDED: "order_refunded",
    Event.TRIAL_STARTED: "trial_started",
}
COLUMNS = {
    "track": (
        "id", "received_at", "sent_at", "anonymous_id", "user_id",
        "event", "event_text", "properties", "context",
    ),
    "identify": ("id", "received_at", "sent_at", "anonymous_id", "user_id", "traits", "context"),
    "alias": ("id", "received_at", "sent_at", "previous_id", "user_id"),
}  # fmt: skip
"""Columns of a storage export by its action; all are text, nested values are JSON."""

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def action(report: Report) -> str:
    """The action that names the storage export a `pipelines` report belongs in."""
    return report.event.value if report.event in (Event.IDENTIFY, Event.ALIAS) else "track"


def body(report: Report) -> dict[str, Any]:
    """One body of the track API, or one row of a storage export: None where a cell is empty."""
    if report.form == "pipelines":
        return _row(report)
    return _track_v2(report) if report.form == "v2" else _track_v1(report)


def _track_v1(report: Report) -> dict[str, Any]:
    who = report.who
    sent: dict[str, Any] = {
        "name": NAMES[report.event],
        "type": "event",
        "id": report.key,
        "timestamp": report.at,
        "data": _data(report),
    }
    if who.customer_id is not None and who.email is None and bits(report, 12, 2) == 0:
        sent["identifiers"] = {"id": who.customer_id}
    else:
        if who.customer_id is not None:
            sent["customer_id"] = who.customer_id
        if who.email is not None:
            sent["email"] = spell_email(who.email, bits(report, 12, 4))
    if who.anonymous_id is not None:
        sent["anonymous_id"] = who.anonymous_id
    elif bits(report, 40, 2) == 0:
        sent["anonymous_id"] = "undefined"
    return sent


def _track_v2(report: Report) -> dict[str, Any]:
    who = report.who
    if who.customer_id is not None:
        identifiers = {"id": who.customer_id}
    elif who.email is not None:
        identifiers = {"email": who.email}
    else:
        identifiers = {"phone": who.phone or ""}
    sent: dict[str, Any] = {"type": "person", "identifiers": identifiers}
    if report.event is Event.IDENTIFY:
        return sent | {
            "action": "identify",
            "id": report.key,
            "timestamp": report.at,
            "attributes": _traits(report),
        }
    return sent | {
        "action": "event",
        "name": NAMES[report.event],
        "id": report.key,
        "timestamp": report.at,
        "attributes": _data(report),
    }


def _row(report: Report) -> dict[str, Any]:
    who = report.who
    row: dict[str, Any] = {
        "id": report.key,
        "received_at": iso(report.at + 1 + bits(report, 20, 3), 4),
        "sent_at": iso(report.at, 4),
    }
    if report.event is Event.ALIAS:
        return row | {"previous_id": who.anonymous_id, "user_id": who.customer_id}
    row |= {"anonymous_id": who.anonymous_id, "user_id": who.customer_id}
    if report.event is Event.IDENTIFY:
        row["traits"] = _compact(_traits(report))
    else:
        name = NAMES[report.event]
        row |= {"event": name, "event_text": name, "properties": _compact(_data(report))}
    row["context"] = _compact(
        {"ip": f"203.0.113.{bits(report, 24, 8)}", "locale": "de-CH" if bits(report, 32, 2) == 0 else "en-US"}
    )
    return row


def _data(report: Report) -> dict[str, Any]:
    data = properties(report)
    if report.event is Event.SITE_VISIT:
        data["url"] = f"https://shop.example.com/{('', 'sale', 'new', 'überblick')[bits(report, 34, 2)]}"
    elif report.event is Event.EMAIL_CLICK:
        data["campaign"] = f"campaign-{bits(report, 34, 3)}"
    return data


def _traits(report: Report) -> dict[str, Any]:
    who, shopper = report.who, report.shopper
    traits: dict[str, Any] = {
        "first_name": shopper.first_name,
        "last_name": shopper.last_name,
        "city": shopper.city,
    }
    if who.email is not None:
        traits["email"] = who.email
    if who.phone is not None:
        traits["phone"] = who.phone
    traits["newsletter"] = bits(report, 36, 1) == 1
    return traits
