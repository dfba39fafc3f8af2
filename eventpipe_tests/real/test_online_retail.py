"""Online Retail: 541,909 invoice lines in 305 daily exports, with refunds and unknown customers (spec 1; spec 3, goals).

What is expected is worked out from the files with pandas, money in whole ten-thousandths.
"""

from __future__ import annotations

import gzip
import random
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from eventpipe_tests.real.real_project import RealProject

LINES = 541_909
WITHOUT_CUSTOMER = 135_080
CUSTOMERS = 4_372


@pytest.fixture(scope="session")
def files(real_data: Path) -> list[Path]:
    return sorted((real_data / "online_retail").glob("*.csv.gz"))


@pytest.fixture(scope="session")
def invoice_lines(files: list[Path]) -> pd.DataFrame:
    """The lines as text, with `file_day`, `at` (local time with its zone), `customer` ('' where unknown) and `worth`."""
    read = [pd.read_csv(file, dtype=str, keep_default_na=False).assign(file_day=file.name[:10]) for file in files]
    lines = pd.concat(read, ignore_index=True)
    prices = {text: int(Decimal(text) * 10_000) for text in lines["UnitPrice"].unique()}
    return lines.assign(
        at=pd.to_datetime(lines["InvoiceDate"]).dt.tz_localize("Europe/London"),
        customer=lines["CustomerID"].str.removesuffix(".0"),
        worth=lines["Quantity"].astype("int64") * lines["UnitPrice"].map(prices),
    )


@pytest.fixture(scope="session")
def bought(invoice_lines: pd.DataFrame) -> pd.DataFrame:
    """The lines of known customers."""
    return invoice_lines[invoice_lines["customer"] != ""]


def money(ten_thousandths: int) -> Decimal:
    return Decimal(int(ten_thousandths)).scaleb(-4)


def test_every_line_of_every_export_is_an_accepted_event(
    online_retail: RealProject, invoice_lines: pd.DataFrame
) -> None:
    assert len(invoice_lines) == LINES
    per_file = online_retail.rows("""
        select landed_on::text, lines, accepted, rejected, blank, status from ledger order by landed_on
    """)
    expected = invoice_lines.groupby("file_day").size()
    assert per_file == [(day, count, count, 0, 0, "loaded") for day, count in expected.items()]
    assert len(per_file) == 305
    assert online_retail.one("select count(*) from events") == LINES


def test_a_line_without_a_customer_is_kept_without_a_contact(
    online_retail: RealProject, bought: pd.DataFrame
) -> None:
    assert online_retail.one("select count(*) from events where contact_id is null") == WITHOUT_CUSTOMER
    assert online_retail.one("select count(*) from contact_timeline") == LINES - WITHOUT_CUSTOMER == len(bought)
    assert online_retail.one("select count(*) from contacts where not is_anonymous") == CUSTOMERS
    assert online_retail.one("select count(*) from contacts") == CUSTOMERS == bought["customer"].nunique()


def test_customers_add_up(online_retail: RealProject, bought: pd.DataFrame) -> None:
    """Net sums with refunds taken off, invoices, first and last purchase; the zone of naive times is London's."""
    found = online_retail.rows("""
        select c.customer_id, g.currency, c.event_count, g.event_count, g.order_count, g.value_sum, g.value_min,
            g.value_max, epoch(g.first_at)::bigint, epoch(g.last_at)::bigint
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where g.goal_type = 'purchase' order by c.customer_id
    """)
    expected = bought.groupby("customer").agg(
        lines=("worth", "size"),
        invoices=("InvoiceNo", "nunique"),
        net=("worth", "sum"),
        least=("worth", "min"),
        most=("worth", "max"),
        first=("at", "min"),
        last=("at", "max"),
    )
    assert found == [
        (
            row.Index,
            "GBP",
            row.lines,
            row.lines,
            row.invoices,
            money(row.net),
            money(row.least),
            money(row.most),
            int(row.first.timestamp()),
            int(row.last.timestamp()),
        )
        for row in expected.itertuples()
    ]


def test_days_add_up(online_retail: RealProject, invoice_lines: pd.DataFrame) -> None:
    """Days in London are the exports' dates; the shop is closed when London's and UTC's days differ."""
    found = online_retail.rows("""
        select strftime(timezone('Europe/London', occurred_at), '%Y-%m-%d') as day, any_value(landed_on)::text,
            count(*), sum(value)
        from events group by day order by day
    """)
    by_day = invoice_lines.groupby("file_day")["worth"].agg(["size", "sum"])
    assert found == [(row.Index, row.Index, row.size, money(row.sum)) for row in by_day.itertuples()]
    volume = online_retail.rows("select day::text, sum(accepted)::int from event_volume_daily group by day order by day")
    assert volume == [(row.Index, row.size) for row in by_day.itertuples()]


def test_cancelled_lines_are_refunds(online_retail: RealProject, invoice_lines: pd.DataFrame) -> None:
    cancelled = invoice_lines[invoice_lines["InvoiceNo"].str.startswith("C")]
    found = online_retail.rows("""
        select count(*), count(distinct order_id), sum(value), max(value) <= 0, bool_and(order_id like 'C%')
        from events where event_name = 'order.line_cancelled' and goal_type = 'purchase'
    """)
    assert found == [(9_288, cancelled["InvoiceNo"].nunique(), money(cancelled["worth"].sum()), True, True)]
    assert len(cancelled) == 9_288


def test_bad_debt_is_no_purchase_and_nobodys(online_retail: RealProject) -> None:
    found = online_retail.rows("""
        select order_id, goal_type, value, currency, contact_id, json_extract_string(properties, '$.Description')
        from events where event_name = 'debt.adjusted' order by order_id
    """)
    owed = Decimal("11062.0600")
    assert found == [
        ("A563185", "other", owed, "GBP", None, "Adjust bad debt"),
        ("A563186", "other", -owed, "GBP", None, "Adjust bad debt"),
        ("A563187", "other", -owed, "GBP", None, "Adjust bad debt"),
    ]


def test_equal_lines_are_different_purchases(online_retail: RealProject, invoice_lines: pd.DataFrame) -> None:
    written = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    repeated = int(invoice_lines.duplicated(written).sum())
    assert repeated == 5_268
    kept = online_retail.one("""
        select count(*) - count(distinct (order_id, occurred_at, customer_id, value, properties)) from events
    """)
    # Quantity and UnitPrice are in the value, which more lines share than those two.
    assert kept >= repeated
    assert online_retail.one("select count(distinct event_id) from events") == LINES


def test_what_no_mapping_uses_stays_in_properties(online_retail: RealProject) -> None:
    names = online_retail.rows("""
        select distinct unnest(json_keys(properties)) as name from events order by name
    """)
    assert [name for (name,) in names] == ["Country", "Description", "StockCode"]


def land_in_random_cuts(project: RealProject, files: list[Path], seed: int, scratch: Path) -> None:
    """Five runs with a random part of the exports each: some came before, and one of each part is not whole yet."""
    chance = random.Random(seed)
    waiting = chance.sample(files, len(files))
    landed: list[Path] = []
    for cut in range(5):
        size = len(waiting) if cut == 4 else chance.randint(0, 2 * len(waiting) // (5 - cut))
        part, waiting = waiting[:size], waiting[size:]
        for file in (*part, *chance.sample(landed, len(landed) // 10)):
            project.put("shop", file.name[:10], file)
        landed += part
        if waiting:
            growing = waiting[0]
            cut_short = scratch / growing.name
            cut_short.write_bytes(gzip.compress(b"".join(gzip.open(growing).readlines()[:100])))
            project.put("shop", growing.name[:10], cut_short)
        project.run()


def test_random_cuts_with_repeats_give_equal_tables(
    online_retail: RealProject, files: list[Path], tmp_path: Path
) -> None:
    cut = RealProject.make(tmp_path / "cut", "online_retail")
    land_in_random_cuts(cut, files, 541_909, tmp_path)
    assert cut.digest() == online_retail.digest()


@pytest.mark.soak
def test_day_by_day_gives_equal_tables(online_retail: RealProject, files: list[Path], tmp_path: Path) -> None:
    daily = RealProject.make(tmp_path / "daily", "online_retail")
    for file in files:
        daily.put("shop", file.name[:10], file)
        daily.run()
    assert daily.digest() == online_retail.digest()


@pytest.mark.soak
def test_a_rebuild_gives_equal_tables(online_retail: RealProject, files: list[Path], tmp_path: Path) -> None:
    backwards = RealProject.make(tmp_path / "backwards", "online_retail")
    for part in (files[150:], files[:150]):
        for file in part:
            backwards.put("shop", file.name[:10], file)
        backwards.run()
    backwards.run(full_refresh=True)
    assert backwards.digest() == online_retail.digest()
