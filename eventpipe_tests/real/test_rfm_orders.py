"""R's rfm_data_orders: 4,906 orders of 995 customers who are known by an address, some of them an O'Kon's."""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject


@pytest.fixture(scope="module")
def orders(real_data: Path) -> list[dict[str, str]]:
    with (real_data / "r_rfm_orders" / "rfm_data_orders.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_line_is_an_order(many_shapes: RealProject, orders: list[dict[str, str]]) -> None:
    found = many_shapes.rows("select lines, accepted, rejected, blank from ledger where source = 'rfm_orders'")
    assert found == [(4_906, 4_906, 0, 0)] == [(len(orders), len(orders), 0, 0)]


def test_customers_add_up(many_shapes: RealProject, orders: list[dict[str, str]]) -> None:
    found = many_shapes.rows("""
        select c.email, c.event_count, g.order_count, g.value_sum, g.first_at::date::text,
            g.last_at::date::text
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'rfm_orders' order by c.email
    """)
    by_address: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for order in orders:
        by_address[order["email"]].append((order["order_date"], int(order["revenue"])))
    expected = [
        (
            address,
            len(bought),
            len(bought),
            Decimal(sum(revenue for _, revenue in bought)),
            min(bought)[0],
            max(bought)[0],
        )
        for address, bought in sorted(by_address.items())
    ]
    assert found == expected
    assert len(found) == 995


def test_an_apostrophe_is_part_of_an_address(many_shapes: RealProject, orders: list[dict[str, str]]) -> None:
    found = many_shapes.rows("""
        select email, json_extract_string(properties, '$.last_name'), flags
        from events where source = 'rfm_orders' and contains(email, '''') order by line
    """)
    assert found == [(each["email"], each["last_name"], None) for each in orders if "'" in each["email"]]
    assert len(found) == 87
    identifiers = "select identifier_value from contact_identifiers where workspace_id = 'rfm_orders'"
    assert {value for (value,) in many_shapes.rows(identifiers)} == {each["email"] for each in orders}
