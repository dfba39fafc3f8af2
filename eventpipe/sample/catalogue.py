"""What the invented shop sells. Prices are in cents and the same number in each currency."""

from __future__ import annotations

from random import Random

_CATEGORIES = (
    ("shoes", 5900),
    ("apparel", 2490),
    ("outdoor", 8950),
    ("kitchen", 1995),
    ("garden", 3475),
    ("audio", 12900),
)
_SKUS_PER_CATEGORY = 24

PLANS = {"basic": 900, "plus": 1900, "pro": 4900}
"""Subscription plans and their price per month, in cents."""

COUPONS = ("WELCOME10", "FRÜHLING", "FREESHIP")


def draw_product(rng: Random) -> tuple[str, str, int]:
    """One product: its sku, its category and its price in cents; low numbers sell best."""
    category, base = _CATEGORIES[int(rng.random() * len(_CATEGORIES))]
    number = int(rng.random() * rng.random() * _SKUS_PER_CATEGORY)
    return f"sku-{category[:3]}-{number:03d}", category, base + number * 137
