"""Online Retail: 541,909 invoice lines in 305 daily exports, with refunds and unknown customers.

What is expected is worked out from the files with polars, money in whole ten-thousandths.
"""

from __future__ import annotations

import gzip
import random
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from eventpipe_tests.real.real_project import RealProject

LINES = 541_909
WITHOUT_CUSTOMER = 135_080
CUSTOMERS = 4_372


@pytest.fixture(scope="session")
def files(real_data: Path) -> list[Path]:
    return sorted((real_data / "online_retail").glob("*.csv.gz"))


@pytest.fixture(scope="session")
def invoice_lines(files: list[Path]) -> pl.DataFrame:
    """The lines as text (blank is null), with `file_day`, `at` (a time in London), `customer` and `worth`."""
    read = [pl.read_csv(file, infer_schema=False).with_columns(file_day=pl.lit(file.name[:10])) for file in files]
    lines = pl.concat(read)
    prices = {text: int(Decimal(text) * 10_000) for text in lines["UnitPrice"].unique()}
    return lines.with_columns(
        at=pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone("Europe/London"),
        customer=pl.col("CustomerID").str.strip_suffix(".0"),
        worth=pl.col("Quantity").cast(pl.Int64) * pl.col("UnitPrice").replace_strict(prices, return_dtype=pl.Int64),
    )


def money(ten_thousandths: int) -> Decimal:
    return Decimal(ten_thousandths).scaleb(-4)


def test_every_line_of_every_export_is_an_accepted_event(
    online_retail: RealProject, invoice_lines: pl.DataFrame
) -> None:
    found = online_retail.rows("""
        select landed_on::text, lines, accepted, rejected, blank, status from ledger order by landed_on
    """)
    by_file = invoice_lines.group_by("file_day").len().sort("file_day").rows()
    assert found == [(day, count, count, 0, 0, "loaded") for day, count in by_file]
    assert (len(found), sum(count for _, count in by_file)) == (305, LINES)
    assert online_retail.one("select count(*) from events") == LINES


def test_a_line_without_a_customer_is_kept_without_a_contact(
    online_retail: RealProject, invoice_lines: pl.DataFrame
) -> None:
    assert invoice_lines["customer"].null_count() == WITHOUT_CUSTOMER
    assert online_retail.one("select count(*) from events where contact_id is null") == WITHOUT_CUSTOMER
    assert online_retail.one("select count(*) from contact_timeline") == LINES - WITHOUT_CUSTOMER
    contacts = online_retail.rows("select count(*), count(distinct customer_id), sum(event_count)::int from contacts")
    assert contacts == [(CUSTOMERS, CUSTOMERS, LINES - WITHOUT_CUSTOMER)]


def test_customers_add_up(online_retail: RealProject, invoice_lines: pl.DataFrame) -> None:
    """Net sums with refunds taken off, invoices, first and last purchase; naive times are London's."""
    found = online_retail.rows("""
        select c.customer_id, c.event_count, g.event_count, g.currency, g.order_count, g.value_sum,
            g.value_min, g.value_max, epoch(g.first_at)::bigint, epoch(g.last_at)::bigint
        from contact_goals as g join contacts as c using (workspace_id, contact_id)
        where g.goal_type = 'purchase' order by c.customer_id
    """)
    worth = pl.col("worth")
    expected = (
        invoice_lines.drop_nulls("customer")
        .group_by("customer")
        .agg(
            lines=pl.len(),
            orders=pl.col("InvoiceNo").n_unique(),
            net=worth.sum(),
            least=worth.min(),
            most=worth.max(),
            first=pl.col("at").min().dt.epoch("s"),
            last=pl.col("at").max().dt.epoch("s"),
        )
        .sort("customer")
    )
    assert found == [
        (customer, lines, lines, "GBP", orders, money(net), money(least), money(most), first, last)
        for customer, lines, orders, net, least, most, first, last in expected.iter_rows()
    ]


def test_days_add_up(online_retail: RealProject, invoice_lines: pl.DataFrame) -> None:
    """A day of London's is an export; the shop is closed while London and UTC have different days."""
    by_file = (
        invoice_lines.group_by("file_day").agg(lines=pl.len(), worth=pl.col("worth").sum()).sort("file_day").rows()
    )
    found = online_retail.rows("""
        select strftime(timezone('Europe/London', occurred_at), '%Y-%m-%d') as day, count(*), sum(value)
        from events group by day order by day
    """)
    assert found == [(day, lines, money(worth)) for day, lines, worth in by_file]
    volume = online_retail.rows("""
        select day::text, sum(accepted)::int, sum(rejected + duplicates + late)::int
        from event_volume_daily group by day order by day
    """)
    assert volume == [(day, lines, 0) for day, lines, _ in by_file]


def test_cancelled_lines_are_refunds(online_retail: RealProject, invoice_lines: pl.DataFrame) -> None:
    cancelled = invoice_lines.filter(pl.col("InvoiceNo").str.starts_with("C"))
    found = online_retail.rows("""
        select count(*), count(distinct order_id), sum(value), max(value) < 0, bool_and(order_id like 'C%')
        from events where event_name = 'order.line_cancelled' and goal_type = 'purchase'
    """)
    refunded = money(int(cancelled["worth"].sum()))
    assert found == [(len(cancelled), cancelled["InvoiceNo"].n_unique(), refunded, True, True)]
    assert (len(cancelled), refunded) == (9_288, Decimal("-896812.4900"))


def test_bad_debt_is_no_purchase_and_nobodys(online_retail: RealProject) -> None:
    found = online_retail.rows("""
        select order_id, goal_type, value, contact_id, json_extract_string(properties, '$.Description')
        from events where event_name = 'debt.adjusted' order by order_id
    """)
    owed = Decimal("11062.0600")
    assert found == [
        ("A563185", "other", owed, None, "Adjust bad debt"),
        ("A563186", "other", -owed, None, "Adjust bad debt"),
        ("A563187", "other", -owed, None, "Adjust bad debt"),
    ]


def test_equal_lines_are_different_purchases(online_retail: RealProject, invoice_lines: pl.DataFrame) -> None:
    written = invoice_lines.drop("at", "customer", "worth")
    assert LINES - written.n_unique() == 5_268
    # Of Quantity and UnitPrice the events have the product.
    shown = invoice_lines.drop("Quantity", "UnitPrice")
    found = online_retail.rows("""
        select count(distinct event_id),
            count(*) - count(distinct (order_id, occurred_at, customer_id, value, properties::text))
        from events
    """)
    assert found == [(LINES, LINES - shown.n_unique())]


def test_what_no_mapping_uses_stays_in_properties(online_retail: RealProject) -> None:
    names = online_retail.rows("select distinct unnest(json_keys(properties)) as name from events order by name")
    assert names == [("Country",), ("Description",), ("StockCode",)]


def land_in_random_cuts(project: RealProject, files: list[Path], seed: int, scratch: Path) -> None:
    """Five runs with a random part of the exports each; some came before, and one is not whole yet."""
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
            beginning = gzip.decompress(growing.read_bytes()).splitlines(keepends=True)[:100]
            cut_short.write_bytes(gzip.compress(b"".join(beginning)))
            project.put("shop", growing.name[:10], cut_short)
        project.run()


def test_random_cuts_with_repeats_give_equal_tables(files: list[Path], tmp_path: Path) -> None:
    some = files[::40]
    at_once = RealProject.make(tmp_path / "at_once", "online_retail")
    for file in some:
        at_once.put("shop", file.name[:10], file)
    at_once.run()
    cut = RealProject.make(tmp_path / "cut", "online_retail")
    land_in_random_cuts(cut, some, 541_909, tmp_path)
    assert cut.digest() == at_once.digest()


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_cuts_of_everything_give_equal_tables(
    online_retail: RealProject, files: list[Path], tmp_path: Path, seed: int
) -> None:
    cut = RealProject.make(tmp_path / "cut", "online_retail")
    land_in_random_cuts(cut, files, seed, tmp_path)
    assert cut.digest() == online_retail.digest()
    cut.run(full_refresh=True)
    assert cut.digest() == online_retail.digest()


@pytest.mark.soak
def test_day_by_day_gives_equal_tables(online_retail: RealProject, files: list[Path], tmp_path: Path) -> None:
    """305 runs: a quarter of an hour."""
    daily = RealProject.make(tmp_path / "daily", "online_retail")
    for file in files:
        daily.put("shop", file.name[:10], file)
        daily.run()
    assert daily.digest() == online_retail.digest()
