"""Spec 3, "RFM", word by word and slowly: rows of contact_rfm from a list of orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

RANGES = {
    "Champions": ((4, 5), (4, 5), (4, 5)),
    "Loyal Customers": ((2, 5), (3, 5), (3, 5)),
    "Potential Loyalist": ((3, 5), (1, 3), (1, 3)),
    "New Customers": ((4, 5), (1, 1), (1, 1)),
    "Promising": ((3, 4), (1, 1), (1, 1)),
    "Need Attention": ((2, 3), (2, 3), (2, 3)),
    "About To Sleep": ((2, 3), (1, 2), (1, 2)),
    "At Risk": ((1, 2), (2, 5), (2, 5)),
    "Can't Lose Them": ((1, 1), (4, 5), (4, 5)),
    "Lost": ((1, 2), (1, 2), (1, 2)),
}
Ranges = Mapping[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]


@dataclass(frozen=True)
class Order:
    """A purchase event; without an order id it is an order of its own."""

    contact: str
    at: datetime
    value: Decimal
    currency: str = "USD"
    order_id: str | None = None


def quantiles(values: Iterable[Any], bins: int) -> list[Fraction]:
    """R's type 7: between the values around (n - 1) * k / bins, in proportion."""
    ordered = sorted(map(Fraction, values))
    found = []
    for k in range(1, bins):
        place, rest = divmod((len(ordered) - 1) * k, bins)
        above = ordered[min(place + 1, len(ordered) - 1)]
        found.append(ordered[place] + (above - ordered[place]) * Fraction(rest, bins))
    return found


def rfm(
    orders: Sequence[Order],
    as_of: datetime,
    timezone: str = "UTC",
    bins: int = 5,
    cut_points: Mapping[str, Sequence[float]] | None = None,
    ranges: Ranges = RANGES,
) -> dict[tuple[str, str], dict[str, Any]]:
    """By contact and currency."""
    today = _day(as_of, timezone)
    groups: dict[tuple[str, str], list[tuple[int, Order]]] = defaultdict(list)
    for number, order in enumerate(orders):
        if order.at <= as_of:
            groups[order.contact, order.currency].append((number, order))
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for key, theirs in groups.items():
        positive = [(number, order) for number, order in theirs if order.value > 0]
        if not positive:
            continue
        gross = sum((order.value for _, order in positive), Decimal(0))
        refunds = sum((order.value for _, order in theirs if order.value < 0), Decimal(0))
        days: dict[date, Decimal] = defaultdict(Decimal)
        for _, order in positive:
            days[_day(order.at, timezone)] += order.value
        frequency = len({order.order_id or number for number, order in positive})
        repeats = [days[each] for each in sorted(days)[1:]]
        rows[key] = {
            "recency_days": (today - max(days)).days,
            "frequency": frequency,
            "monetary": gross + refunds,
            "gross": gross,
            "refunds": refunds,
            "avg_order_value": (gross / frequency).quantize(Decimal("0.0001"), ROUND_HALF_UP),
            "first_order_at": min(order.at for _, order in positive),
            "last_order_at": max(order.at for _, order in positive),
            "btyd_frequency": len(days) - 1,
            "btyd_recency_days": (max(days) - min(days)).days,
            "btyd_age_days": (today - min(days)).days,
            "btyd_monetary": float(sum(repeats, Decimal(0))) / len(repeats) if repeats else 0.0,
        }
    for currency in {currency for _, currency in rows}:
        same = [row for (_, each), row in rows.items() if each == currency]
        for measure, score in (("recency_days", "r_score"), ("frequency", "f_score"), ("monetary", "m_score")):
            fixed = (cut_points or {}).get(measure)
            cuts = list(map(Fraction, fixed)) if fixed else quantiles([row[measure] for row in same], bins)
            for row in same:
                below = sum(cut < Fraction(row[measure]) for cut in cuts)
                row[score] = len(cuts) + 1 - below if score == "r_score" else 1 + below
    for row in rows.values():
        scores = (row["r_score"], row["f_score"], row["m_score"])
        row["rfm_score"] = "".join(map(str, scores))
        row["rfm_segment"] = next(
            (
                name
                for name, ranges_of in ranges.items()
                if all(low <= score <= high for score, (low, high) in zip(scores, ranges_of, strict=True))
            ),
            "Others",
        )
    return rows


def _day(at: datetime, timezone: str) -> date:
    return at.astimezone(ZoneInfo(timezone)).date()
