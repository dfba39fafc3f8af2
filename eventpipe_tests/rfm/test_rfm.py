"""The table contact_rfm and its history against the slow reference, run by run (spec 3, "RFM")."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventpipe.errors import ConfigurationError
from eventpipe.project.folder import load_project
from eventpipe_tests.builders import event, export, project
from eventpipe_tests.pipeline.published import Tables, assert_same
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.rfm.reference import Order, rfm

AS_OF = datetime(2026, 3, 20, 22, 30, tzinfo=UTC)
COLUMNS = (
    "recency_days frequency monetary gross refunds avg_order_value first_order_at last_order_at r_score f_score m_score"
    " rfm_score rfm_segment btyd_frequency btyd_recency_days btyd_age_days btyd_monetary"
).split()


def told(order: Order) -> dict[str, object]:
    return event(
        event_name="order.completed",
        customer_id=order.contact,
        occurred_at=order.at.isoformat(),
        goal_type="purchase",
        value=str(order.value),
        currency=order.currency,
        order_id=order.order_id,
    )


def random_orders(seed: int, count: int = 200) -> list[Order]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        amount = Decimal(chance.choice(["0", "5", "5", "19.99", "100", "250.5", "-5", "-100"]))
        at = datetime(2026, 3, 20, 23, tzinfo=UTC) - timedelta(minutes=chance.randrange(0, 60 * 24 * 90, 15))
        number = chance.randrange(60)
        made.append(
            Order(
                f"c{number % 23}", at, amount, chance.choice(["USD", "USD", "EUR"]), chance.choice([None, f"o{number}"])
            )
        )
    return made


def by_customer(tables: Tables, name: str = "contact_rfm") -> Iterable[tuple[str, dict[str, Any]]]:
    customers = {row["contact_id"]: row["customer_id"] for row in tables["contacts"].records()}
    for row in tables[name].records():
        yield customers[row["contact_id"]], row


def assert_agrees(tables: Tables, orders: Sequence[Order], as_of: datetime, **settings: Any) -> None:
    expected = rfm(orders, as_of, **settings)
    found = {(customer, row["currency"]): row for customer, row in by_customer(tables)}
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        for column in row:
            wanted = pytest.approx(row[column], abs=1e-9) if column == "btyd_monetary" else row[column]
            assert found[key][column] == wanted, (key, column)
        assert set(COLUMNS) == set(row)


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Kathmandu", "America/Los_Angeles"])
def test_every_column(tmp_path: Path, timezone: str) -> None:
    """As of half past ten in the evening of UTC: in Kathmandu it is the next day."""
    orders = random_orders(1)
    made = project(tmp_path, timezone=timezone)
    export(made, map(told, orders), day=date(2026, 3, 20))
    tables = Shop(made).run(AS_OF)
    assert_agrees(tables, orders, AS_OF, timezone=timezone)


def test_bins_cut_points_goal_types_and_names_are_settings(tmp_path: Path) -> None:
    orders = random_orders(2)
    settings = {
        "bins": 3,
        "cut_points": {"recency": [10, 40]},
        "segments": [
            {"name": "Best", "r": 3, "f": "2-3", "m": [2, 3]},
            {"name": "Gone", "r": "1", "f": "1-3", "m": "1-3"},
        ],
        "history": "never",
        "goal_types": ["purchase", "subscription"],
    }
    made = project(tmp_path, rfm=settings)
    some = [told(order) | ({"goal_type": "subscription"} if number % 3 else {}) for number, order in enumerate(orders)]
    export(made, some, day=date(2026, 3, 20))
    tables = Shop(made).run(AS_OF)
    ranges = {"Best": ((3, 3), (2, 3), (2, 3)), "Gone": ((1, 1), (1, 3), (1, 3))}
    assert_agrees(tables, orders, AS_OF, bins=3, cut_points={"recency_days": [10, 40]}, ranges=ranges)
    assert tables["contact_rfm_history"].rows.total() == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bins": 7}, "rfm.bins: 7 is not 5 or less"),
        ({"bins": 3, "cut_points": {"recency": [1, 2, 3]}}, "has 3 cut points: with 3 bins there can be 2"),
        ({"cut_points": {"monetary": [5, 5]}}, "rfm.cut_points.monetary: a list is not a list of rising numbers"),
        ({"segments": [{"name": "A", "r": "5-4", "f": 1, "m": 1}]}, "write the lower one first"),
        ({"segments": [{"name": "A", "r": 6, "f": 1, "m": 1}]}, "write 4-5, or 1 for a single score"),
        ({"segments": [{"name": "A", "r": 1, "f": 1}]}, "rfm.segments.0.m: is required"),
        ({"goal_types": ["purchases"]}, "did you mean 'purchase'?"),
        ({"goal_types": []}, "name at least one goal type"),
        ({"history": "daily"}, "rfm.history: 'daily' is not accepted; did you mean 'day'?"),
        ({"bin": 5}, "unknown key; did you mean 'bins'?"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        project(tmp_path, rfm=settings)
    assert said in str(raised.value)


def test_equal_values_have_equal_scores(tmp_path: Path) -> None:
    """Ten contacts, nine of them alike: cut points by value put the nine together wherever they fall."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    orders = [Order(f"c{number}", at, Decimal(10)) for number in range(9)] + [Order("c9", at, Decimal(500))]
    made = project(tmp_path)
    export(made, map(told, orders), day=date(2026, 3, 20))
    found = {customer: row["rfm_score"] for customer, row in by_customer(Shop(made).run(AS_OF))}
    assert found == {**{f"c{number}": "511" for number in range(9)}, "c9": "515"}


def test_an_order_in_several_parts_is_one_order(tmp_path: Path) -> None:
    night = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
    orders = [
        Order("c1", night, Decimal(10), order_id="o1"),
        Order("c1", night + timedelta(minutes=2), Decimal(5), order_id="o1"),
        Order("c1", night + timedelta(days=3), Decimal(-15), order_id="o1"),
        Order("c2", night, Decimal(-5)),
        Order("c3", night, Decimal(0)),
    ]
    made = project(tmp_path)
    export(made, map(told, orders), day=date(2026, 3, 20))
    found = dict(by_customer(Shop(made).run(AS_OF)))
    assert found.keys() == {"c1"}, "who has no order of a positive value is not scored"
    assert (found["c1"]["frequency"], found["c1"]["monetary"], found["c1"]["gross"]) == (1, 0, 15)
    assert (found["c1"]["recency_days"], found["c1"]["btyd_frequency"]) == (18, 1)


def test_history_has_each_month_end_as_a_run_of_that_instant_has_it(tmp_path: Path) -> None:
    """Also when half of the orders land late: what is missing is filled in."""
    orders = random_orders(3)
    made = project(tmp_path / "shop", timezone="Europe/Berlin")
    shop = Shop(made)
    export(made, map(told, orders[::2]), name="half.jsonl", day=date(2026, 3, 20))
    shop.run(AS_OF)
    export(made, map(told, orders[1::2]), name="late.jsonl", day=date(2026, 3, 20))
    tables = shop.run(AS_OF + timedelta(hours=1))
    found: dict[date, list[tuple[Any, ...]]] = {}
    for customer, row in by_customer(tables, "contact_rfm_history"):
        found.setdefault(row["snapshot_on"], []).append((customer, row["currency"], *(row[name] for name in COLUMNS)))
    first = min(order.at for order in orders)
    assert sorted(found) == [
        day for day in (date(2025, 12, 31), date(2026, 1, 31), date(2026, 2, 28)) if day >= first.date()
    ]
    for day, rows in found.items():
        end = datetime(day.year, day.month, day.day, 22, 59, 59, 999_999, tzinfo=UTC)  # midnight in Berlin's winter
        expected = rfm(orders, end, timezone="Europe/Berlin")
        assert sorted(rows) == sorted(
            (customer, currency, *(row[name] for name in COLUMNS)) for (customer, currency), row in expected.items()
        )
        of_that_day = Shop(load_project(made.root, {}))
        again = by_customer(of_that_day.run(end))
        assert sorted(rows) == sorted(
            (customer, row["currency"], *(row[name] for name in COLUMNS)) for customer, row in again
        )


@pytest.mark.parametrize(("period", "ends"), [("week", 13), ("quarter", 1), ("day", 90), ("year", 1)])
def test_periods_of_history(tmp_path: Path, period: str, ends: int) -> None:
    orders = [Order("c1", datetime(2025, 12, 20, 12, tzinfo=UTC), Decimal(10))]
    made = project(tmp_path, rfm={"history": period})
    export(made, map(told, orders), day=date(2026, 3, 20))
    days = sorted(row["snapshot_on"] for row in Shop(made).run(AS_OF)["contact_rfm_history"].records())
    assert len(days) == ends
    assert days[-1] <= date(2026, 3, 19)


def test_parts_and_order_of_the_exports_make_no_difference(tmp_path: Path) -> None:
    orders = random_orders(4)
    once = project(tmp_path / "once")
    export(once, map(told, orders), day=date(2026, 3, 20))
    tables = Shop(once).run(AS_OF)
    often = Shop(project(tmp_path / "often"))
    chance = random.Random(4)
    shuffled = chance.sample(orders, len(orders))
    for part in range(3):
        export(often.project, map(told, shuffled[part::3]), name=f"{part}.jsonl", day=date(2026, 3, 20))
        found = often.run(AS_OF - timedelta(days=20 - 10 * part))
    for name in ("contact_rfm", "contact_rfm_history"):
        # Keyless events are bound to their file, and an order without an id is its event: contacts do not depend on it.
        assert_same({name: found[name]}, {name: tables[name]})
