"""CDNOW: 6,919 purchases in columns between blanks, without a header and a time of day."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from eventpipe_tests.real.real_project import RealProject


@pytest.fixture(scope="module")
def purchases(real_data: Path) -> pd.DataFrame:
    lines = (real_data / "cdnow_sample" / "CDNOW_sample.txt").read_bytes().splitlines()
    rows = [line.decode("ascii").split() for line in lines]
    table = pd.DataFrame(rows, columns=["master", "sample", "day", "cds", "dollars"])
    return table.assign(cents=[int(Decimal(each) * 100) for each in table["dollars"]])


def test_every_line_is_a_purchase(many_shapes: RealProject, purchases: pd.DataFrame) -> None:
    found = many_shapes.rows("select lines, accepted, rejected, blank from ledger where source = 'cdnow'")
    assert found == [(6_919, 6_919, 0, 0)] == [(len(purchases), len(purchases), 0, 0)]


def test_equal_lines_are_different_purchases(many_shapes: RealProject, purchases: pd.DataFrame) -> None:
    repeated = many_shapes.one("""
        select (count(*) - count(distinct (customer_id, occurred_at, value, properties)))::int
        from events where source = 'cdnow'
    """)
    assert repeated == 21 == purchases.duplicated().sum()


def test_a_purchase_for_nothing_is_a_purchase(many_shapes: RealProject) -> None:
    assert many_shapes.one("select count(*) from events where source = 'cdnow' and value = 0") == 8


def test_customers_add_up(many_shapes: RealProject, purchases: pd.DataFrame) -> None:
    """Under their ids with the leading zeros; a date is midnight in the project's zone."""
    found = many_shapes.rows("""
        select c.customer_id, g.event_count, g.order_count, g.value_sum,
            strftime(timezone('UTC', g.first_at), '%Y%m%d %H%M%S'), strftime(timezone('UTC', g.last_at), '%Y%m%d')
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'cdnow' and g.goal_type = 'purchase' and g.currency = 'USD'
        order by c.customer_id
    """)
    expected = purchases.groupby("master").agg(
        count=("cents", "size"), cents=("cents", "sum"), first=("day", "min"), last=("day", "max")
    )
    assert found == [
        (master, count, count, Decimal(cents).scaleb(-2), f"{first} 000000", last)
        for master, count, cents, first, last in expected.itertuples(name=None)
    ]
    assert (len(found), found[0][0]) == (2_357, "00004")


def test_columns_without_a_name_are_numbered(many_shapes: RealProject, purchases: pd.DataFrame) -> None:
    found = many_shapes.rows("""
        select line, json_extract_string(properties, '$.c2'), json_extract_string(properties, '$.c4')
        from events where source = 'cdnow' order by line
    """)
    assert found == [
        (line, sample, cds)
        for line, (sample, cds) in enumerate(zip(purchases["sample"], purchases["cds"], strict=True), start=1)
    ]
