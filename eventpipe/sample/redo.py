"""Redo's bodies in all three generations of field names.

Forms: `v0`, `v1`, `v1-drawn` (the customer as one string, as the overview draws it), `v2`. v0 has no unique
id and no customer id.
"""

from __future__ import annotations

from typing import Any

from eventpipe.sample.properties import amount, bits, iso, properties
from eventpipe.sample.report import Event, Report
from eventpipe.sample.spelling import spell_email, spell_phone

NAMES = {
    Event.PRODUCT_VIEWED: "Product Viewed",
    Event.ADDED_TO_CART: "Added To Cart",
    Event.CHECKOUT_STARTED: "Checkout Started",
    Event.ORDER_COMPLETED: "Order Completed",
    Event.ORDER_REFUNDED: "Order Refunded",
    Event.SIGNED_UP: "User Signed Up",
    Event.TRIAL_STARTED: "Trial Started",
}
NAME_FIELDS = {"v0": "event_name", "v1": "event_name", "v1-drawn": "event_name", "v2": "eventName"}
TIME_FIELDS = {
    "v0": "event_timestamp",
    "v1": "event_timestamp",
    "v1-drawn": "timestamp",
    "v2": "eventTimestamp",
}
PROPERTY_FIELDS = {"v0": "properties", "v1": "properties", "v1-drawn": "properties", "v2": "data"}


def body(report: Report) -> dict[str, Any]:
    """One request body. A top-level 0, null or empty text among the properties is sent and means nothing."""
    form = report.form
    sent: dict[str, Any] = {NAME_FIELDS[form]: NAMES[report.event]}
    sent |= _customer(report)
    data = properties(report)
    if bits(report, 6, 3) == 0:
        data |= {"coupon": "", "discount": 0, "referrer": None}
    sent[PROPERTY_FIELDS[form]] = data
    if form == "v0":
        if report.basket is not None and report.basket.cart_id is not None:
            sent["cart_context"] = {"cart_id": report.basket.cart_id, "skus": list(report.basket.skus)}
    else:
        data["$extra"] = {
            "session_id": f"ses-{bits(report, 16, 32):08x}",
            "clicks": [0, bits(report, 20, 5)],
            "note": "",
        }
        basket = report.basket
        if basket is not None and basket.cents is not None:
            sent["value"] = amount(basket.cents)
            sent["valueCurrency" if form == "v2" else "value_currency"] = basket.currency
        sent["uniqueId" if form == "v2" else "unique_id"] = report.key
    sent[TIME_FIELDS[form]] = iso(report.at, bits(report, 9, 3))
    return sent


def _customer(report: Report) -> dict[str, Any]:
    who, shopper = report.who, report.shopper
    email = spell_email(who.email, bits(report, 12, 4)) if who.email is not None else None
    if report.form == "v1-drawn":
        return {"customer": email or who.phone or who.customer_id}
    customer_id = who.customer_id
    if customer_id is None and report.form != "v0" and bits(report, 40, 3) == 0:
        customer_id = "guest"
    phone = spell_phone(who.phone, bits(report, 43, 1)) if who.phone is not None else None
    if report.form == "v2":
        names = {
            "firstName": shopper.first_name,
            "lastName": shopper.last_name,
            "location": {"city": shopper.city},
        }
        identifiers = {"id": customer_id, "email": email, "phoneNumber": phone}
        return {"customer": {key: value for key, value in identifiers.items() if value is not None} | names}
    identifiers = {"customer_id": customer_id, "email": email, "phone": phone}
    return {key: value for key, value in identifiers.items() if value is not None}
