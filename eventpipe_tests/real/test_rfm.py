"""RFM of three real data sets: what is expected is worked out from the files, by the reference and by lifetimes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lifetimes.utils import summary_data_from_transaction_data

from eventpipe_tests.real.real_project import AS_OF, RealProject
from eventpipe_tests.real.test_online_retail import files, invoice_lines, money  # noqa: F401  # fixtures
from eventpipe_tests.rfm.reference import Order, rfm

COLUMNS = (
    "recency_days, frequency, monetary, gross, refunds, avg_order_value, r_score, f_score, m_score, rfm_score,"
    " rfm_segment, btyd_frequency, btyd_recency_days, btyd_age_days, btyd_monetary"
)


@pytest.fixture(scope="module")
def cdnow(real_data: Path) -> list[Order]:
    lines = (real_data / "cdnow_sample" / "CDNOW_sample.txt").read_text().splitlines()
    cells = [line.split() for line in lines]
    return [
        Order(master, datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC), Decimal(dollars))
        for master, _, day, _, dollars in cells
    ]


@pytest.fixture(scope="module")
def rfm_orders(real_data: Path) -> list[Order]:
    with (real_data / "r_rfm_orders" / "rfm_data_orders.csv").open(newline="", encoding="utf-8") as file:
        return [
            Order(row["email"], datetime.fromisoformat(row["order_date"]).replace(tzinfo=UTC), Decimal(row["revenue"]))
            for row in csv.DictReader(file)
        ]


def published(project: RealProject, workspace: str, known_by: str) -> dict[str, dict[str, Any]]:
    found = project.sql(
        f"select {known_by} as known_by, {COLUMNS} from contact_rfm join contacts using (workspace_id, contact_id)"
        f" where workspace_id = '{workspace}'"
    )
    return {row.pop("known_by"): row for row in found.to_dicts()}


@pytest.mark.parametrize(("workspace", "known_by"), [("cdnow", "customer_id"), ("rfm_orders", "email")])
def test_every_customer_is_scored_as_the_reference_does(
    many_shapes: RealProject, workspace: str, known_by: str, request: pytest.FixtureRequest
) -> None:
    orders: list[Order] = request.getfixturevalue(workspace)
    found = published(many_shapes, workspace, known_by)
    expected = {contact: row for (contact, _), row in rfm(orders, AS_OF).items()}
    assert found.keys() == expected.keys()
    for contact, row in expected.items():
        assert found[contact] == {
            name: pytest.approx(row[name]) if name == "btyd_monetary" else row[name] for name in found[contact]
        }


@pytest.mark.parametrize(("workspace", "known_by"), [("cdnow", "customer_id"), ("rfm_orders", "email")])
def test_btyd_is_what_lifetimes_computes(
    many_shapes: RealProject, workspace: str, known_by: str, request: pytest.FixtureRequest
) -> None:
    """Of orders with a positive value: a purchase for nothing is no purchase to either."""
    orders: list[Order] = request.getfixturevalue(workspace)
    assert_lifetimes(published(many_shapes, workspace, known_by), orders, AS_OF.date())


def test_cut_points_are_numpys_linear_quantiles(many_shapes: RealProject) -> None:
    found = published(many_shapes, "cdnow", "customer_id").values()
    for measure, score in (("frequency", "f_score"), ("monetary", "m_score"), ("recency_days", "r_score")):
        values = np.array([float(row[measure]) for row in found])
        below = (np.quantile(values, [0.2, 0.4, 0.6, 0.8])[None, :] < values[:, None]).sum(axis=1)
        expected = 5 - below if score == "r_score" else 1 + below
        assert [row[score] for row in found] == expected.tolist()


def test_online_retail_netted_and_gross(
    online_retail: RealProject,
    invoice_lines: pl.DataFrame,  # noqa: F811
) -> None:
    """Purchases and cancelled lines, London's days; bad debts are no purchases."""
    lines = invoice_lines.drop_nulls("customer").filter(~pl.col("InvoiceNo").str.starts_with("A"))
    orders = [
        Order(row["customer"], row["at"], money(row["worth"]), "GBP", row["InvoiceNo"])
        for row in lines.select("customer", "at", "worth", "InvoiceNo").iter_rows(named=True)
    ]
    found = published(online_retail, "default", "customer_id")
    expected = {contact: row for (contact, _), row in rfm(orders, AS_OF, "Europe/London").items()}
    assert found.keys() == expected.keys()
    for contact, row in expected.items():
        assert found[contact] == {
            name: pytest.approx(row[name]) if name == "btyd_monetary" else row[name] for name in found[contact]
        }
    net, gross = (sum(row[name] for row in found.values()) for name in ("monetary", "gross"))
    assert net < gross
    assert_lifetimes(found, orders, AS_OF.astimezone(ZoneInfo("Europe/London")).date(), "Europe/London")


def test_history_is_what_a_run_of_that_day_finds(many_shapes: RealProject, cdnow: list[Order]) -> None:
    rows = many_shapes.sql("""
        select snapshot_on, customer_id, recency_days, rfm_score, rfm_segment, btyd_monetary
        from contact_rfm_history join contacts using (workspace_id, contact_id)
        where workspace_id = 'cdnow' and snapshot_on in ('1997-03-31', '1998-06-30')
    """).to_dicts()
    for day in (date(1997, 3, 31), date(1998, 6, 30)):
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, microseconds=-1)
        expected = {contact: row for (contact, _), row in rfm(cdnow, end).items()}
        found = {row["customer_id"]: row for row in rows if row["snapshot_on"] == day}
        assert found.keys() == expected.keys()
        for contact, row in found.items():
            assert (row["recency_days"], row["rfm_score"], row["rfm_segment"]) == tuple(
                expected[contact][name] for name in ("recency_days", "rfm_score", "rfm_segment")
            )


def assert_lifetimes(
    found: dict[str, dict[str, Any]], orders: Sequence[Order], today: date, timezone: str = "UTC"
) -> None:
    zone = ZoneInfo(timezone)
    frame = pd.DataFrame(
        [
            (order.contact, order.at.astimezone(zone).date().isoformat(), float(order.value))
            for order in orders
            if order.value > 0
        ],
        columns=["contact", "day", "value"],
    )
    summary = summary_data_from_transaction_data(
        frame, "contact", "day", "value", observation_period_end=today.isoformat()
    )
    assert set(summary.index) == found.keys()
    for contact, frequency, recency, age, value in summary.itertuples():
        row = found[contact]
        assert (row["btyd_frequency"], row["btyd_recency_days"], row["btyd_age_days"]) == (frequency, recency, age)
        assert row["btyd_monetary"] == pytest.approx(value, abs=1e-6)
