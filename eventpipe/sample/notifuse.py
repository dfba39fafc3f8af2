"""Notifuse's bodies. Forms: `upsert` (one event) and `import` (an element of a
batch).
"""

from __future__ import annotations

from typing import Any

from eventpipe.sample.properties import amount, bits, iso, properties
from eventpipe.sample.report import Event, Report, Version
from eventpipe.sample.spelling import spell_email

NAMES = {
    Event.CHECKOUT_STARTED: "checkout.started",
    Event.ORDER_COMPLETED: "order.completed",
    Event.ORDER_REFUNDED: "order.refunded",
    Event.SIGNED_UP: "user.signed_up",
    Event.TRIAL_STARTED: "trial.started",
    Event.SUBSCRIPTION_STARTED: "subscription.started",
}
_GOALS = {
    Event.ORDER_COMPLETED: "purchase",
    Event.ORDER_REFUNDED: "purchase",
    Event.SIGNED_UP: "signup",
    Event.TRIAL_STARTED: "trial",
    Event.SUBSCRIPTION_STARTED: "subscription",
}


def body(report: Report) -> dict[str, Any]:
    """One event. The three states of `deleted_at` are: absent, a time (deleted), null (restored)."""
    sent: dict[str, Any] = {
        "email": spell_email(report.who.email, bits(report, 12, 4)) if report.who.email is not None else None,
        "event_name": NAMES[report.event],
        "external_id": report.key,
        "occurred_at": iso(report.at, bits(report, 9, 3)),
        "properties": properties(report),
    }
    if report.event in _GOALS:
        sent["goal_type"] = _GOALS[report.event]
        if report.basket is not None and report.basket.cents is not None:
            sent["goal_value"] = amount(report.basket.cents)
        if report.plan is not None:
            sent["goal_name"] = report.plan
    if report.version is Version.DELETE and report.deleted_at is not None:
        sent["deleted_at"] = iso(report.deleted_at)
    elif report.version is Version.RESTORE:
        sent["deleted_at"] = None
    return sent
