"""A changed list of columns: made where nothing is lost, refused with the plan where something would be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from eventpipe.serving import layout
from eventpipe.serving.layout import LAYOUTS, Layout
from eventpipe.serving.postgres.migration import SchemaRefused, holds_every
from eventpipe_tests.serving.editions import Served, expected, make, serve, served


def columns(url: str, table: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return dict(
            connection.execute(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute"
                " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
                [f"eventpipe.{table}"],
            ).fetchall()
        )


def test_new_columns_wider_types_and_new_tables_are_made(tmp_path: Path, database: str) -> None:
    one = make(tmp_path, "one")
    two = make(
        tmp_path,
        "two",
        known=["one"],
        extra=[
            "alter table events add column channel varchar",
            "update events set channel = 'web'",
            "alter table events alter column value type decimal(38, 4)",
            "create table refunds as select 1 as amount",
        ],
    )
    serve(database, one)
    serve(database, two, one)
    assert columns(database, "events")["channel"] == "text"
    assert columns(database, "events")["value"] == "numeric(38,4)"
    assert served(database) == expected(two)


def test_keys_of_other_columns_are_made(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A primary key, one that becomes another kind, and one that stays."""
    one = make(tmp_path, "one")
    more = [
        f"insert into {table} by name select * replace ({other} as {column}) from {table}"
        for table, column, other in (("contacts", "email", "'b@example.com'"), ("contact_goals", "event_count", "99"))
    ]
    two = make(tmp_path, "two", known=["one"], extra=more)
    serve(database, one)
    before = indexes(database)
    goals = LAYOUTS["contact_goals"]
    other = {
        "contacts": Layout(key=("contact_id", "email"), nullable=("email",)),
        "contact_goals": replace(goals, key=(*goals.key, "event_count")),
    }
    monkeypatch.setattr(layout, "LAYOUTS", {**LAYOUTS, **other})
    serve(database, two, one)
    assert regardless_of_columns_order(served(database)) == regardless_of_columns_order(expected(two))
    assert indexes(database) == before - {"pk_contacts"} | {"uq_contacts"}


def indexes(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select indexname from pg_indexes where schemaname = 'eventpipe'").fetchall()
    return {name for (name,) in found}


def regardless_of_columns_order(tables: Served) -> dict[str, list[list[str]]]:
    return {name: sorted(sorted(map(repr, row)) for row in rows) for name, rows in tables.items()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("alter table events drop column note", r'events\.note is not published any more.*drop column "note";'),
        (
            "alter table events alter column value type decimal(9, 2)",
            r"events\.value is numeric\(9,2\) now and was numeric",
        ),
        (
            "alter table contacts drop column traits",
            r'drop view "eventpipe"\."plans"; alter table "eventpipe"\."contacts" drop column "traits";',
        ),
        ("drop table ledger", r'the table ledger is not published any more.*drop table "eventpipe"\."ledger";'),
    ],
)
def test_what_would_lose_something_is_refused_with_the_plan(
    tmp_path: Path, database: str, change: str, told: str
) -> None:
    plans = "create view plans as select {} as has_none, count(*) as contacts from main.contacts group by 1"
    one = make(tmp_path, "one", extra=[plans.format("traits is null")])
    two = make(tmp_path, "two", known=["one"], extra=[change, plans.format("email is null")])
    serve(database, one)
    with pytest.raises(SchemaRefused, match=told) as refused:
        serve(database, two, one)
    assert served(database) == expected(one)
    before = indexes(database) - ({"pk_ledger"} if "ledger" in change else set())
    plan = str(refused.value).partition("run again: ")[2]
    with psycopg.connect(database) as connection:
        connection.execute(plan.encode())
    serve(database, two, one)
    assert regardless_of_columns_order(served(database)) == regardless_of_columns_order(expected(two))
    assert indexes(database) == before


def test_views_that_people_made_outlive_new_columns(tmp_path: Path, database: str) -> None:
    """On tables, on the models' views and on masked ones; the roles that may read those still may."""
    more = [
        "alter table contacts add column channel varchar",
        "create or replace view volume as select max(value) as most, event_name, count(*) as events"
        " from main.events group by event_name",
    ]
    one, two = make(tmp_path, "one"), make(tmp_path, "two", known=["one"], extra=more)
    serve(database, one, mask=("email",))
    with psycopg.connect(database) as connection:
        connection.execute("create schema mart")
        for name in ("eventpipe.contacts", "eventpipe.volume", "eventpipe_masked.contacts", "eventpipe_masked.volume"):
            connection.execute(f"create view mart.{name.replace('.', '_')} as select * from {name}".encode())
        connection.execute("grant select on eventpipe.volume to public")
    serve(database, two, one, mask=("email",))
    with psycopg.connect(database) as connection:
        assert len(connection.execute("select * from mart.eventpipe_masked_contacts").fetchall()) == 10
        assert list(columns(database, "volume")) == ["event_name", "events", "most"]
        found = connection.execute("select email, channel from eventpipe_masked.contacts limit 1").fetchone()
        assert found == ("***", None)
        assert connection.execute("select has_table_privilege('public', 'eventpipe.volume', 'select')").fetchone() == (
            True,
        )
    assert regardless_of_columns_order(served(database)) == regardless_of_columns_order(expected(two))


@pytest.mark.parametrize(
    "change",
    [
        "alter table events alter column value type decimal(38, 4)",
        "create or replace view volume as select event_name from main.events",
    ],
)
def test_views_that_people_made_and_that_are_in_the_way_are_named(tmp_path: Path, database: str, change: str) -> None:
    one, two = make(tmp_path, "one"), make(tmp_path, "two", known=["one"], extra=[change])
    serve(database, one)
    with psycopg.connect(database) as connection:
        connection.execute("create schema mart")
        connection.execute("create view mart.mine as select value, events from eventpipe.events, eventpipe.volume")
    with pytest.raises(SchemaRefused, match=r"build on them as they are: view mart\.mine depends on"):
        serve(database, two, one)
    assert served(database) == expected(one)


def test_a_table_of_somebody_elses_is_not_taken(tmp_path: Path, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create schema eventpipe")
        connection.execute("create table eventpipe.events (mine int)")
    with pytest.raises(SchemaRefused, match=r"tables that eventpipe did not make.*: events"):
        serve(database, make(tmp_path, "one"))
    assert columns(database, "events") == {"mine": "integer"}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop table eventpipe.events")
        connection.execute("create view eventpipe.volume as select 1 as mine")
    with pytest.raises(SchemaRefused, match=r"views that eventpipe did not make.*: volume"):
        serve(database, make(tmp_path, "two"))


@pytest.mark.parametrize(
    ("wide", "narrow", "holds"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("numeric(38,4)", "numeric(18,4)", True),
        ("numeric(38,2)", "numeric(18,4)", False),
        ("numeric(18,4)", "bigint", False),
        ("numeric(39,0)", "bigint", True),
        ("text", "jsonb", True),
        ("text", "text[]", False),
        ("jsonb", "text", False),
        ("double precision", "bigint", False),
    ],
)
def test_a_type_is_wider_when_it_has_every_value(wide: str, narrow: str, holds: bool) -> None:
    assert holds_every(wide, narrow) is holds
