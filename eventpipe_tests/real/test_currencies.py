"""The fixture of two libraries for customer value, loaded in dollars and again in yen."""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from eventpipe_tests.real.real_project import RealProject

YEN = 150
"""What the mapping in yen takes a dollar for."""


def test_sums_of_two_currencies_stay_apart(many_shapes: RealProject, real_data: Path) -> None:
    values: dict[str, list[int]] = defaultdict(list)
    with (real_data / "rfm_fixture" / "transactions.csv").open(newline="", encoding="utf-8") as file:
        for each in csv.DictReader(file):
            values[each["identifier"]].append(int(each["monetary_value"]))
    found = many_shapes.rows("""
        select c.customer_id, c.event_count, g.currency, g.event_count, g.value_sum, g.value_avg, g.value_min,
            g.value_max
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'till' order by c.customer_id, g.currency
    """)
    assert [row[:5] for row in found] == [
        (customer, 2 * len(each), currency, len(each), Decimal(sum(each) * rate))
        for customer, each in sorted(values.items())
        for currency, rate in (("JPY", YEN), ("USD", 1))
    ]
    averages = [
        (round(Decimal(sum(each) * rate) / len(each), 4), min(each) * rate, max(each) * rate)
        for _, each in sorted(values.items())
        for rate in (YEN, 1)
    ]
    assert [row[5:] for row in found] == averages


def test_purchases_of_one_day_are_different_purchases(many_shapes: RealProject) -> None:
    found = many_shapes.rows("""
        select occurred_at::date::text, count(*) from events
        where source = 'till_usd' and customer_id = '4' group by all order by all
    """)
    assert found == [("2015-01-16", 1), ("2015-02-02", 1), ("2015-02-05", 2)]
