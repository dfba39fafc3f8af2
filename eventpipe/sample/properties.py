"""The properties of a report under the names that all four tools use for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from eventpipe.sample.report import Event, Report

_OFFSETS = {
    1: timezone(timedelta(hours=1)),
    2: timezone(timedelta(hours=-5)),
    3: timezone(timedelta(hours=5, minutes=30)),
}


def bits(report: Report, shift: int, size: int) -> int:
    """`size` bits of the report's variant, from bit `shift` on: an independent small choice, equal each time
    it is asked.
    """
    return (report.variant >> shift) & ((1 << size) - 1)


def amount(cents: int) -> float:
    """Cents as the number that JSON carries; never more than two decimals."""
    return cents / 100


def properties(report: Report, *, arrays: bool = True, numbers_as_text: bool = True) -> dict[str, Any]:
    """order_id, total, currency, items, item_count, sku, category, coupon, cart_id, plan: those that the
    event has.

    `arrays`: the tool takes arrays. `numbers_as_text`: some of its clients send the total as text. US dollars
    go unnamed now and then; no other currency does.
    """
    sent: dict[str, Any] = {}
    basket = report.basket
    if report.plan is not None:
        sent["plan"] = report.plan
    if basket is None:
        return sent
    if basket.order_id is not None:
        sent["order_id"] = basket.order_id
    if basket.cart_id is not None:
        sent["cart_id"] = basket.cart_id
    if basket.cents is not None:
        text = numbers_as_text and bits(report, 0, 4) == 0
        sent["total"] = f"{basket.cents / 100:.2f}" if text else amount(basket.cents)
        if basket.currency != "USD" or bits(report, 4, 2):
            sent["currency"] = basket.currency
    if report.event in (Event.PRODUCT_VIEWED, Event.ADDED_TO_CART):
        sent["sku"] = basket.skus[0]
        sent["category"] = basket.category
    elif basket.skus:
        sent["category"] = basket.category
        sent["item_count"] = len(basket.skus)
        if arrays:
            sent["items"] = list(basket.skus)
        if basket.coupon is not None:
            sent["coupon"] = basket.coupon
    return sent


def iso(seconds: int, style: int = 0) -> str:
    """Epoch seconds as ISO 8601 with an offset, the same instant in each of the styles 0 to 4."""
    if style in _OFFSETS:
        return datetime.fromtimestamp(seconds, _OFFSETS[style]).isoformat()
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]
    return f"{text}.000Z" if style == 4 else f"{text}Z"
