"""dbt-activity-schema's fixtures: activities of four customers, and the totals that it expects of them."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject

ACTIVITIES = ("signed_up", "visited_page", "bought_something")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def totals(real_data: Path) -> dict[str, dict[str, str]]:
    """The package's own totals over all time, by customer."""
    name = "primary__all/output__select_all_aggregate_all.csv"
    return {row["customer_id"]: row for row in table(real_data / "activity_schema" / "datasets" / name)}


@pytest.fixture(scope="module")
def activities(real_data: Path) -> dict[str, list[dict[str, str]]]:
    folder = real_data / "activity_schema" / "activities"
    if not folder.is_dir():
        pytest.skip(f"this copy of the data has the expected totals only: {folder} is no folder")
    return {name: table(folder / f"{name}.csv") for name in ACTIVITIES}


def test_activities_are_counted_by_customer(
    many_shapes: RealProject, activities: dict[str, list[dict[str, str]]], totals: dict[str, dict[str, str]]
) -> None:
    found = many_shapes.rows("""
        select c.customer_id, e.event_name, count(*)
        from contact_timeline as e join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'activities' group by all
    """)
    counted = {(customer, name): count for customer, name, count in found}
    assert counted == Counter((row["entity_uuid"], name) for name, rows in activities.items() for row in rows)
    for customer, total in totals.items():
        assert counted[customer, "visited_page"] == int(total["pages_visited_all"])
        assert counted[customer, "bought_something"] == int(total["total_purchases_all"])


def test_the_sums_of_activities_are_what_the_package_expects(
    many_shapes: RealProject, activities: dict[str, list[dict[str, str]]], totals: dict[str, dict[str, str]]
) -> None:
    assert activities
    assert spent(many_shapes, "activities") == {
        customer: (int(total["total_purchases_all"]), Decimal(total["total_sales_all"]))
        for customer, total in totals.items()
    }


def test_the_sums_of_months_are_what_the_package_expects(
    many_shapes: RealProject, totals: dict[str, dict[str, str]]
) -> None:
    """Its table by month, loaded as events, against its table over all time."""
    by_month = spent(many_shapes, "months")
    assert by_month == {customer: (4, Decimal(total["total_sales_all"])) for customer, total in totals.items()}


def spent(project: RealProject, workspace: str) -> dict[str, tuple[int, Decimal]]:
    """For each customer of a workspace: purchases, and their sum."""
    found = project.rows(f"""
        select c.customer_id, g.event_count, g.value_sum
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where workspace_id = '{workspace}'
    """)
    return {customer: (count, value) for customer, count, value in found}
