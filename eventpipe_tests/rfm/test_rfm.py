"""The table contact_rfm and its history against the slow reference.

Runs are shared: workspaces are scored each by itself, so each test has one of its own in the same project.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import jinja2
import pytest

from eventpipe.errors import ConfigurationError
from eventpipe.project.folder import load_project
from eventpipe.warehouse.parsed import project_dir
from eventpipe_tests.builders import event, export, project
from eventpipe_tests.pipeline.published import Tables, assert_same
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.rfm.reference import Order, quantiles, rfm

AS_OF = datetime(2026, 3, 20, 22, 30, tzinfo=UTC)
COLUMNS = (
    "recency_days frequency monetary gross refunds avg_order_value first_order_at last_order_at r_score f_score m_score"
    " rfm_score rfm_segment btyd_frequency btyd_recency_days btyd_age_days btyd_monetary"
).split()


BERLIN = "Europe/Berlin"
LANDED = date(2026, 3, 20)
NIGHT = datetime(2026, 3, 1, 22, 59, tzinfo=UTC)
"""A minute before midnight in Berlin."""


def told(order: Order, workspace: str) -> dict[str, object]:
    return event(
        workspace_id=workspace,
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


ORDERS: Mapping[str, Sequence[Order]] = {
    "random": random_orders(1),
    "more": random_orders(3),
    # Ten contacts, nine of them alike.
    "alike": [Order(f"c{number}", NIGHT, Decimal(10 if number < 9 else 500)) for number in range(10)],
    "parts": [
        Order("c1", NIGHT, Decimal(10), order_id="o1"),
        Order("c1", NIGHT + timedelta(minutes=2), Decimal(5), order_id="o1"),
        Order("c1", NIGHT + timedelta(days=3), Decimal(-15), order_id="o1"),
        Order("c2", NIGHT, Decimal(-5)),
        Order("c3", NIGHT, Decimal(0)),
    ],
}
"""By workspace."""

SAID = [told(order, workspace) for workspace, orders in ORDERS.items() for order in orders]


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """All orders in one run."""
    made = project(tmp_path_factory.mktemp("once"), timezone=BERLIN)
    export(made, SAID, day=LANDED)
    return Shop(made).run(AS_OF)


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The same in two runs, as time goes by: each part has orders of all months, so most land late."""
    shop = Shop(project(tmp_path_factory.mktemp("parts"), timezone=BERLIN))
    shuffled = random.Random(4).sample(SAID, len(SAID))
    for part in range(2):
        export(shop.project, shuffled[part::2], name=f"{part}.jsonl", day=LANDED)
        shop.run(AS_OF - timedelta(days=10 - 10 * part))
    return shop


@pytest.fixture(scope="module")
def in_kathmandu(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """As of half past ten in the evening of UTC it is the next day there. Snapshots are of each week."""
    made = project(tmp_path_factory.mktemp("kathmandu"), timezone="Asia/Kathmandu", rfm={"history": "week"})
    export(made, SAID, day=LANDED)
    return Shop(made).run(AS_OF)


def by_customer(tables: Tables, workspace: str, name: str = "contact_rfm") -> Iterable[tuple[str, dict[str, Any]]]:
    customers = {row["contact_id"]: row["customer_id"] for row in tables["contacts"].records()}
    for row in tables[name].records():
        if row["workspace_id"] == workspace:
            yield customers[row["contact_id"]], row


def assert_agrees(tables: Tables, workspace: str, as_of: datetime, **settings: Any) -> None:
    expected = rfm(ORDERS[workspace], as_of, **settings)
    found = {(customer, row["currency"]): row for customer, row in by_customer(tables, workspace)}
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        for column in row:
            wanted = pytest.approx(row[column], abs=1e-9) if column == "btyd_monetary" else row[column]
            assert found[key][column] == wanted, (key, column)
        assert set(COLUMNS) == set(row)


@pytest.mark.parametrize("workspace", ORDERS)
def test_every_column(at_once: Tables, in_kathmandu: Tables, workspace: str) -> None:
    assert_agrees(at_once, workspace, AS_OF, timezone=BERLIN)
    assert_agrees(in_kathmandu, workspace, AS_OF, timezone="Asia/Kathmandu")


def test_bins_cut_points_goal_types_and_names_are_settings(tmp_path: Path) -> None:
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
    zone = "America/Los_Angeles"
    made = project(tmp_path, rfm=settings, timezone=zone)
    some = [said | ({"goal_type": "subscription"} if number % 3 else {}) for number, said in enumerate(SAID)]
    export(made, some, day=LANDED)
    shop = Shop(made)
    tables = shop.run(AS_OF)
    ranges = {"Best": ((3, 3), (2, 3), (2, 3)), "Gone": ((1, 1), (1, 3), (1, 3))}
    for workspace in ORDERS:
        assert_agrees(
            tables, workspace, AS_OF, timezone=zone, bins=3, cut_points={"recency_days": [10, 40]}, ranges=ranges
        )
    assert tables["contact_rfm_history"].rows.total() == 0
    later = AS_OF + timedelta(days=9)
    tables = shop.run(later)
    for workspace in ORDERS:
        assert_agrees(
            tables, workspace, later, timezone=zone, bins=3, cut_points={"recency_days": [10, 40]}, ranges=ranges
        )


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


def test_equal_values_have_equal_scores(at_once: Tables) -> None:
    """Cut points by value put the nine together wherever they fall."""
    found = {customer: row["rfm_score"] for customer, row in by_customer(at_once, "alike")}
    assert found == {**{f"c{number}": "511" for number in range(9)}, "c9": "515"}


def test_an_order_in_several_parts_is_one_order(at_once: Tables) -> None:
    found = dict(by_customer(at_once, "parts"))
    assert found.keys() == {"c1"}, "who has no order of a positive value is not scored"
    assert (found["c1"]["frequency"], found["c1"]["monetary"], found["c1"]["gross"]) == (1, 0, 15)
    assert (found["c1"]["recency_days"], found["c1"]["btyd_frequency"]) == (18, 1)


def test_parts_and_order_of_the_exports_make_no_difference(at_once: Tables, in_parts: Shop) -> None:
    found = in_parts.tables()
    for name in ("contact_rfm", "contact_rfm_history"):
        # Keyless events are bound to their file, and an order without an id is its event: contacts do not depend on it.
        assert_same({name: found[name]}, {name: at_once[name]})


def test_days_pass_though_nothing_lands(in_parts: Shop) -> None:
    later = AS_OF + timedelta(days=25)
    tables = in_parts.run(later)
    for workspace in ORDERS:
        assert_agrees(tables, workspace, later, timezone=BERLIN)


def snapshots(tables: Tables, name: str, workspace: str) -> dict[date, list[tuple[Any, ...]]]:
    """Rows of contact_rfm_history, or of contact_rfm under the first of January of the year 1."""
    found: dict[date, list[tuple[Any, ...]]] = {}
    for customer, row in by_customer(tables, workspace, name):
        rows = found.setdefault(row.get("snapshot_on", date.min), [])
        rows.append((customer, row["currency"], *(row[column] for column in COLUMNS)))
    return {day: sorted(rows) for day, rows in found.items()}


def expected_rows(workspace: str, as_of: datetime, timezone: str) -> list[tuple[Any, ...]]:
    expected = rfm(ORDERS[workspace], as_of, timezone)
    return sorted(
        (customer, currency, *(row[name] for name in COLUMNS)) for (customer, currency), row in expected.items()
    )


def end_of(day: date, timezone: str) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)) + timedelta(days=1)
    return midnight.astimezone(UTC) - timedelta(microseconds=1)


@pytest.mark.parametrize("workspace", ["random", "more"])
def test_history_has_each_period_as_a_run_at_its_end_has_it(
    at_once: Tables, in_kathmandu: Tables, workspace: str
) -> None:
    first, zone = min(order.at for order in ORDERS[workspace]).date(), "Asia/Kathmandu"
    months = snapshots(at_once, "contact_rfm_history", workspace)
    assert sorted(months) == [day for day in (date(2025, 12, 31), date(2026, 1, 31), date(2026, 2, 28)) if day >= first]
    weeks = snapshots(in_kathmandu, "contact_rfm_history", workspace)
    assert [day.weekday() for day in weeks] == [6] * len(weeks)
    assert max(weeks) == date(2026, 3, 15)
    for timezone, found in ((BERLIN, months), (zone, weeks)):
        for day, rows in found.items():
            assert rows == expected_rows(workspace, end_of(day, timezone), timezone), day


def test_a_run_of_the_past_gives_the_table_of_that_day(in_parts: Shop) -> None:
    end = end_of(date(2026, 1, 31), BERLIN)
    history = snapshots(in_parts.tables(), "contact_rfm_history", "random")
    other = Shop(load_project(in_parts.project.root, {}))
    assert snapshots(other.run(end), "contact_rfm", "random") == {date.min: history[date(2026, 1, 31)]}


@pytest.fixture(scope="module")
def macros() -> Any:
    """The macros of RFM as functions from SQL to SQL."""
    return jinja2.Environment().from_string((project_dir() / "macros" / "rfm.sql").read_text()).module


@pytest.mark.parametrize(
    ("period", "last"),
    [
        ("day", lambda day: isinstance(day, date)),
        ("week", lambda day: day.weekday() == 6),
        ("month", lambda day: (day + timedelta(1)).day == 1),
        ("quarter", lambda day: (day + timedelta(1)).day == 1 and day.month % 3 == 0),
        ("year", lambda day: (day.month, day.day) == (12, 31)),
    ],
)
def test_the_end_of_every_days_period(macros: Any, period: str, last: Callable[[date], bool]) -> None:
    """Four years, one of them with a leap day."""
    ends = macros.period_end("cast(day as date)", f"'{period}'")
    days = "from generate_series(date '2023-01-01', date '2027-01-10', interval 1 day) as days (day)"
    for day, end in duckdb.sql(f"select cast(day as date), {ends} {days}").fetchall():
        assert day <= end
        assert [each for each in (day + timedelta(n) for n in range((end - day).days + 1)) if last(each)] == [end]


@pytest.mark.parametrize("bins", [2, 3, 4, 5])
def test_cut_points_are_quantiles_of_type_7(macros: Any, bins: int) -> None:
    """Of lists of all lengths, with many equal values."""
    chance = random.Random(bins)
    for length in range(1, 40):
        values = sorted(chance.choice([0, 1, 1, 5, 7, 100]) for _ in range(length))
        (found,) = duckdb.sql(f"select {macros.quantiles('v', bins)} from (select {values} as v)").fetchall()
        assert found[0] == pytest.approx([float(each) for each in quantiles(values, bins)])


def test_a_mean_is_exact_however_large() -> None:
    """Rounded half away from zero to four places, of money that no float holds."""
    text = (project_dir() / "macros" / "exact_average.sql").read_text()
    mean: Any = jinja2.Environment().from_string(text).module
    chance = random.Random(7)
    totals = [Decimal(chance.randrange(-(10**digits), 10**digits)) / 10**4 for digits in (4, 9, 14, 15, 18, 26) * 30]
    totals += [
        Decimal(each) for each in ("0", "0.0001", "-0.0001", "9999999999.9999", "10000000000", "-99999999999999.9999")
    ]
    for count in (1, 2, 3, 7, 152):
        rows = ", ".join(f"({total:f}::decimal(38, 4))" for total in totals)
        found = duckdb.sql(f"select {mean.exact_quotient('total', count)} from (values {rows}) as t (total)").fetchall()
        with localcontext(prec=60):
            expected = [(total / count).quantize(Decimal("0.0001"), ROUND_HALF_UP) for total in totals]
        assert [each for (each,) in found] == expected
    assert duckdb.sql(f"select {mean.exact_quotient('1.5::decimal(38, 4)', 0)}").fetchall() == [(None,)]
