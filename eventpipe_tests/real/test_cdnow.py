"""CDNOW: 6,919 purchases in columns between blanks, without a header and a time of day."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject

Purchase = tuple[str, str, str, str, Decimal]
"""Customer, sample, day, number of CDs, dollars."""


@pytest.fixture(scope="module")
def purchases(real_data: Path) -> list[Purchase]:
    lines = (real_data / "cdnow_sample" / "CDNOW_sample.txt").read_bytes().splitlines()
    cells = [line.decode("ascii").split() for line in lines]
    return [(master, sample, day, cds, Decimal(dollars)) for master, sample, day, cds, dollars in cells]


def test_every_line_is_a_purchase(many_shapes: RealProject, purchases: list[Purchase]) -> None:
    found = many_shapes.rows("select lines, accepted, rejected, blank from ledger where source = 'cdnow'")
    assert found == [(6_919, 6_919, 0, 0)] == [(len(purchases), len(purchases), 0, 0)]


def test_equal_lines_are_different_purchases(many_shapes: RealProject, purchases: list[Purchase]) -> None:
    repeated = many_shapes.one("""
        select count(*) - count(distinct (customer_id, occurred_at, value, properties::text))
        from events where source = 'cdnow'
    """)
    assert repeated == 21 == len(purchases) - len(set(purchases))


def test_a_purchase_for_nothing_is_a_purchase(many_shapes: RealProject, purchases: list[Purchase]) -> None:
    free = many_shapes.one("select count(*) from events where source = 'cdnow' and value = 0")
    assert free == 8 == Counter(dollars for *_, dollars in purchases)[Decimal(0)]


def test_customers_add_up(many_shapes: RealProject, purchases: list[Purchase]) -> None:
    """Under their ids with the leading zeros; a date is midnight in the project's zone."""
    found = many_shapes.rows("""
        select c.customer_id, g.event_count, g.order_count, g.value_sum,
            strftime(timezone('UTC', g.first_at), '%Y%m%d %H%M%S'),
            strftime(timezone('UTC', g.last_at), '%Y%m%d %H%M%S')
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'cdnow' and g.goal_type = 'purchase' and g.currency = 'USD'
        order by c.customer_id
    """)
    bought: dict[str, list[tuple[str, Decimal]]] = defaultdict(list)
    for master, _, day, _, dollars in purchases:
        bought[master].append((day, dollars))
    assert found == [
        (
            master,
            len(each),
            len(each),
            sum(dollars for _, dollars in each),
            f"{min(each)[0]} 000000",
            f"{max(each)[0]} 000000",
        )
        for master, each in sorted(bought.items())
    ]
    assert (len(found), found[0][0]) == (2_357, "00004")


def test_columns_without_a_name_are_numbered(many_shapes: RealProject, purchases: list[Purchase]) -> None:
    found = many_shapes.rows("""
        select line, json_extract_string(properties, '$.c2'), json_extract_string(properties, '$.c4')
        from events where source = 'cdnow' order by line
    """)
    assert found == [(line, sample, cds) for line, (_, sample, _, cds, _) in enumerate(purchases, start=1)]
