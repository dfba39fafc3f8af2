"""Rows that a run wrote again as they were are the same rows to readers."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from eventpipe.serving.unchanged import keep_run_ids

CONTACTS = "create table contacts as select 'c' || i as contact_id, {} as email, {} as run_id from range({}) as t(i)"


def database(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return database(
        tmp_path / "published.duckdb",
        "create table runs as select 'one' as run_id",
        CONTACTS.format("case when i > 0 then 'e' || i end", "'one'", 4),
        "create table events as select 'e1' as event_id, 'one' as run_id",
    )


def rows(path: Path, published: Path, table: str) -> tuple[int, list[tuple[object, ...]]]:
    with duckdb.connect(str(path)) as connection:
        kept = keep_run_ids(connection, published)
        assert connection.execute("select database_name from duckdb_databases() where not internal").fetchall() == [
            (path.stem,)
        ]
        return kept, connection.execute(f"from {table} order by 1").fetchall()


def test_rows_that_came_out_as_they_were_keep_their_run(tmp_path: Path, published: Path) -> None:
    """A null is equal to a null; a changed row and a new one are of the run that wrote them."""
    changed = "case i when 0 then null when 1 then 'other' else 'e' || i end"
    working = database(tmp_path / "working.duckdb", CONTACTS.format(changed, "'two'", 5))
    kept, contacts = rows(working, published, "contacts")
    assert kept == 3
    assert [row[2] for row in contacts] == ["one", "two", "one", "one", "two"]


def test_events_are_of_the_run_that_took_them_in(tmp_path: Path, published: Path) -> None:
    working = database(tmp_path / "working.duckdb", "create table events as select 'e1' as event_id, 'two' as run_id")
    assert rows(working, published, "events") == (0, [("e1", "two")])


def test_other_columns_are_another_table(tmp_path: Path, published: Path) -> None:
    working = database(
        tmp_path / "working.duckdb", "create table contacts as select 'c0' as contact_id, 'two' as run_id"
    )
    assert rows(working, published, "contacts") == (0, [("c0", "two")])


def test_without_a_published_file_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "torn.duckdb").write_bytes(b"half")
    working = database(tmp_path / "working.duckdb", CONTACTS.format("null", "'two'", 1))
    for missing in ("none.duckdb", "torn.duckdb"):
        assert rows(working, tmp_path / missing, "contacts")[0] == 0
