"""The neutral facts between the story and the vendors: one report is one statement by one source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from eventpipe.sample.population import Shopper


class Event(StrEnum):
    """What can happen in the shop, by its canonical name."""

    SITE_VISIT = "site_visit"
    EMAIL_CLICK = "email_click"
    PRODUCT_VIEWED = "product_viewed"
    ADDED_TO_CART = "added_to_cart"
    CHECKOUT_STARTED = "checkout.started"
    ORDER_COMPLETED = "order.completed"
    ORDER_REFUNDED = "order.refunded"
    SIGNED_UP = "user.signed_up"
    TRIAL_STARTED = "trial.started"
    SUBSCRIPTION_STARTED = "subscription.started"
    IDENTIFY = "identify"
    ALIAS = "alias"


class Version(StrEnum):
    """How a report relates to earlier ones of the same event (notifuse only; all else is `first`)."""

    FIRST = "first"
    UPDATE = "update"
    STALE = "stale"
    DELETE = "delete"
    RESTORE = "restore"


class Who(NamedTuple):
    """The identifiers that a report carries, as they stand after normalisation; a vendor may spell them
    otherwise.
    """

    customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: str | None = None

    @property
    def is_known(self) -> bool:
        """True with an identifier that is more than a device or a cookie."""
        return self.customer_id is not None or self.email is not None or self.phone is not None


@dataclass(frozen=True, slots=True)
class Basket:
    """Products, and what they cost. `cents` is below zero for a refund, None where only a product is looked
    at.
    """

    skus: tuple[str, ...]
    category: str
    cents: int | None = None
    currency: str = "USD"
    cart_id: str | None = None
    order_id: str | None = None
    coupon: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One source tells one thing.

    `form` names the body that the source uses (its vendor module lists them). `at` is in epoch seconds. `key`
    is the vendor's unique id, None where the form has none. `variant` is 48 random bits from which the vendor
    draws whatever else differs from body to body: the same report is therefore always the same bytes.
    `versioned` marks all versions of an event that has several.
    """

    source: str
    form: str
    event: Event
    who: Who
    shopper: Shopper
    at: int
    key: str | None
    variant: int
    basket: Basket | None = None
    plan: str | None = None
    version: Version = Version.FIRST
    versioned: bool = False
    deleted_at: int | None = None
