"""jaffle_shop: orders of known customers, payments in cents that name an order and nobody, and people."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject

Table = list[dict[str, str]]


@pytest.fixture(scope="module")
def tables(real_data: Path) -> dict[str, Table]:
    found = {}
    for name in ("customers", "orders", "payments"):
        with (real_data / "jaffle_shop" / f"raw_{name}.csv").open(newline="", encoding="utf-8") as file:
            found[name] = list(csv.DictReader(file))
    return found


def test_every_line_is_an_event(many_shapes: RealProject, tables: dict[str, Table]) -> None:
    found = many_shapes.rows("""
        select source, lines, accepted, rejected from ledger where source like 'jaffle_%' order by source
    """)
    assert found == [(f"jaffle_{name}", len(table), len(table), 0) for name, table in sorted(tables.items())]


def test_orders_are_their_customers(many_shapes: RealProject, tables: dict[str, Table]) -> None:
    found = many_shapes.rows("""
        select c.customer_id, list_sort(list(e.order_id::int)), min(e.occurred_at)::date::text,
            max(e.occurred_at)::date::text
        from events as e join contacts as c using (workspace_id, contact_id)
        where e.source = 'jaffle_orders' group by c.customer_id order by c.customer_id
    """)
    placed: dict[str, list[dict[str, str]]] = defaultdict(list)
    for order in tables["orders"]:
        placed[order["user_id"]].append(order)
    assert found == [
        (
            customer,
            sorted(int(order["id"]) for order in orders),
            min(order["order_date"] for order in orders),
            max(order["order_date"] for order in orders),
        )
        for customer, orders in sorted(placed.items())
    ]
    contacts = many_shapes.rows("select customer_id from contacts where workspace_id = 'jaffle'")
    assert {value for (value,) in contacts} == {customer["id"] for customer in tables["customers"]}


def test_a_name_can_be_made_of_a_field(many_shapes: RealProject, tables: dict[str, Table]) -> None:
    found = many_shapes.rows("select event_name, events from event_catalog where event_name like 'order.%'")
    counts = Counter(f"order.{order['status']}" for order in tables["orders"])
    assert {name: count for name, count in found if name in counts} == {
        **counts,
        # So do other data sets of the project call an order.
        "order.completed": counts["order.completed"] + 6_919 + 4_906 + 28,
    }


def test_cents_are_money_and_payments_nobodys(many_shapes: RealProject, tables: dict[str, Table]) -> None:
    found = many_shapes.rows("""
        select order_id::int, goal_name, count(*), sum(value), any_value(currency), count(contact_id)
        from events where source = 'jaffle_payments' group by order_id, goal_name order by all
    """)
    paid: dict[tuple[int, str], list[int]] = defaultdict(list)
    for payment in tables["payments"]:
        paid[int(payment["order_id"]), payment["payment_method"]].append(int(payment["amount"]))
    assert found == [
        (order, method, len(cents), Decimal(sum(cents)).scaleb(-2), "USD", 0)
        for (order, method), cents in sorted(paid.items())
    ]


def test_what_has_no_time_happened_when_it_landed_and_says_so(many_shapes: RealProject) -> None:
    found = many_shapes.rows("""
        select source, flags, occurred_at::date::text, count(*)
        from events where source in ('jaffle_customers', 'jaffle_payments') group by all order by all
    """)
    assert found == [
        ("jaffle_customers", ["occurred_at.missing"], "2018-04-10", 100),
        ("jaffle_payments", ["occurred_at.missing"], "2018-04-10", 113),
    ]
