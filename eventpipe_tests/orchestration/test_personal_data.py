"""Nothing of a person is in what Dagster stores."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from eventpipe.defs.home import dagster_home
from eventpipe.defs.previews import MOST_ROWS, markdown, preview
from eventpipe_tests.orchestration.shop import CANARIES, Shop


def stored_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_lake_has_the_canaries(shop: Shop) -> None:
    """Otherwise the next test could not fail."""
    with duckdb.connect() as connection:
        rows = connection.execute(f"from read_parquet('{shop.project.lake}/*/*/*.parquet')").fetchall()
    for canary in CANARIES:
        assert canary in str(rows), canary


def test_dagster_stores_no_canary(shop: Shop) -> None:
    stored = stored_in(dagster_home(shop.project))
    assert shop.run_id.encode() in stored
    for canary in CANARIES:
        assert canary.encode() not in stored, canary
    assert b"c1" not in [word.strip(b'"') for word in stored.split(b" ")]


def test_definitions_hold_no_canary(shop: Shop) -> None:
    """The dbt target holds compiled SQL, results and logs, which the tests' messages go into."""
    stored = stored_in(shop.project.state / "dbt")
    for canary in CANARIES:
        assert canary.encode() not in stored, canary


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("order.completed", "order.completed"),
        ("Commande passée", "Commande passée"),
        ("jane@example.com bought", "(withheld)"),
        ("called +15005550006", "(withheld)"),
        ("order 123456", "(withheld)"),
        ("<script>", "(withheld)"),
        ("x" * 61, "(withheld)"),
    ],
)
def test_event_names_are_shown_where_they_look_like_names(name: str, shown: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table some_events as select $1 as event_name", [name])
        table = preview(connection, "events", "some_events")
    assert table is not None
    assert table.splitlines()[-1] == f"| {shown} | 1 |"


def test_reasons_are_shown_without_the_names_of_properties() -> None:
    with duckdb.connect() as connection:
        connection.execute("create table rejected as select ['property.unknown:jane@example.com'] as reasons")
        table = preview(connection, "rejected_events", "rejected")
    assert table is not None
    assert table.splitlines()[-1] == "| property.unknown | 1 |"


def test_a_table_without_a_preview_has_none() -> None:
    with duckdb.connect() as connection:
        assert preview(connection, "touched_contacts", "nowhere") is None


def test_previews_are_short_and_plain() -> None:
    table = markdown(["name", "count"], [[f"a|b*{n}", 1000 + n] for n in range(MOST_ROWS + 1)]).splitlines()
    assert table[:3] == ["| name | count |", "| --- | ---: |", "| a\\|b\\*0 | 1,000 |"]
    assert table[-1] == "| ... |  |"
    assert len(table) == 2 + MOST_ROWS + 1
