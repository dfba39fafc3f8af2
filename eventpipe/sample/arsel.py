"""Arsel's send bodies. One form, `send`: exactly one of email and contact_id,
no unique id.

The shop gave its contacts its own customer ids, so `contact_id` is the customer id.
"""

from __future__ import annotations

from typing import Any

from eventpipe.sample.properties import bits, iso, properties
from eventpipe.sample.report import Event, Report

NAMES = {
    Event.CHECKOUT_STARTED: "checkout.started",
    Event.ORDER_COMPLETED: "order.completed",
    Event.TRIAL_STARTED: "trial.started",
    Event.SUBSCRIPTION_STARTED: "subscription.started",
}


def body(report: Report) -> dict[str, Any]:
    """One send. Its data hold only text and numbers: the field types have no array, and text is no number
    here.
    """
    sent: dict[str, Any] = {
        "event": NAMES[report.event],
        "data": properties(report, arrays=False, numbers_as_text=False),
        "timestamp": iso(report.at, bits(report, 9, 3)),
    }
    if report.who.email is not None:
        sent["email"] = report.who.email
    if report.who.customer_id is not None:
        sent["contact_id"] = report.who.customer_id
    return sent
