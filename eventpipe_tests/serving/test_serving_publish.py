"""Publishing to PostgreSQL: the tables there are those of the engine's file, and only what changed travels."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest

from eventpipe.doctor import served as doctor
from eventpipe.errors import StageFailed
from eventpipe.ops.lease import Fenced
from eventpipe.serving.layout import LAYOUTS
from eventpipe.serving.postgres import difference
from eventpipe.serving.postgres.relations import Relation, view_sql
from eventpipe.serving.postgres.upload import Uploaded
from eventpipe.serving.reading import reading
from eventpipe_tests.builders import project
from eventpipe_tests.serving.editions import expected, make, serve, served


def test_every_value_arrives_as_it_is(tmp_path: Path, database: str) -> None:
    made = make(tmp_path, "one", events=60)
    assert serve(database, made).brought == sum(map(made.count, ("events", "contacts", "contact_goals", "ledger")))
    assert served(database) == expected(made)


def test_only_changed_rows_travel(tmp_path: Path, database: str) -> None:
    """The second edition has lost 7 events, changed every seventh of those that stay, and gained 7."""
    one = make(tmp_path, "one", events=300)
    keep = ["update events set run_id = 'one' where event_id < 'e000000300' and (properties ->> 'changed') = 'false'"]
    two = make(tmp_path, "two", events=300, shift=7, known=["one"], extra=keep)
    serve(database, one)
    moved = serve(database, two, one)
    assert served(database) == expected(two)
    assert moved.removed < 60
    assert moved.brought < 60


def test_a_row_that_stays_under_its_key_is_changed_in_its_place(tmp_path: Path, database: str) -> None:
    """No index hears of it: the new version lies beside the old one, where the table leaves room for it."""
    one = make(tmp_path, "one", events=600)
    more = ["update contacts set event_count = event_count + 1 where contact_id like '%7'"]
    two = make(tmp_path, "two", events=600, known=["one"], extra=more)
    serve(database, one)
    serve(database, two, one)
    assert served(database) == expected(two)
    with psycopg.connect(database) as connection:
        counters = "select n_tup_upd, n_tup_hot_upd, n_tup_del from pg_stat_user_tables where relname = 'contacts'"
        assert connection.execute(counters).fetchone() == (20, 20, 0)


@pytest.mark.parametrize(
    "meddling", ["delete from eventpipe.contacts", "update eventpipe.contacts set contact_id = 'x' || contact_id"]
)
def test_rows_that_somebody_changed_there_are_put_right_when_they_are_missed(
    tmp_path: Path, database: str, meddling: str
) -> None:
    one = make(tmp_path, "one")
    two = make(tmp_path, "two", shift=3, known=["one"])
    serve(database, one)
    with psycopg.connect(database) as connection:
        connection.execute(meddling.encode())
    serve(database, two, one)
    assert served(database) == expected(two)


def test_the_doctor_compares_the_server_with_the_file(tmp_path: Path, database: str) -> None:
    made = make(tmp_path, "one", extra=["create schema edition; create table edition.run as select 'one' as run_id"])
    serve(database, made)
    monitored = project(tmp_path / "project", serving={"url": database})
    with duckdb.connect(str(made.path), read_only=True) as published, reading(monitored) as store:
        assert doctor.served(published, store).state == "kept"
        for damage, name in (
            ("update eventpipe.events set run_id = 'earlier' where event_id = 'e000000003'", "events"),
            ("delete from eventpipe.ledger", "ledger"),
            ("drop view eventpipe.volume", "volume"),
        ):
            with psycopg.connect(database) as connection:
                connection.execute(damage.encode())
            check = doctor.served(published, store)
            assert check.state == "broken"
            assert name in check.detail


@pytest.mark.parametrize("hashes", [1, 7, 40])
def test_keys_that_share_a_hash_are_told_apart(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, hashes: int
) -> None:
    """Rows are matched by a hash of their key, of which there are only so many here."""
    one = make(tmp_path, "one", events=60)
    two = make(tmp_path, "two", events=60, shift=7, known=["one"])
    three = make(tmp_path, "three", events=50, shift=9, known=["one", "two"])
    hashed, keys = difference._hash, {layout.key for layout in LAYOUTS.values()}
    monkeypatch.setattr(
        difference, "_hash", lambda names: f"{hashed(names)} % {hashes}" if names in keys else hashed(names)
    )
    serve(database, one)
    for made, base in ((two, one), (three, two)):
        serve(database, made, base)
        assert served(database) == expected(made)


def test_an_edition_that_is_served_already_is_not_sent_again(tmp_path: Path, database: str) -> None:
    one = make(tmp_path, "one")
    serve(database, one)
    assert serve(database, one) == Uploaded(0, 0)


def test_without_the_edition_before_everything_is_sent(tmp_path: Path, database: str) -> None:
    """The file beside the project was lost, or the server was restored from a backup."""
    one, two, three = (
        make(tmp_path, name, shift=shift, known=["one", "two"])
        for name, shift in (("one", 0), ("two", 3), ("three", 6))
    )
    serve(database, one)
    serve(database, three, two)  # the server holds `one`, so `two` tells nothing
    assert served(database) == expected(three)
    serve(database, make(tmp_path, "four", shift=2, known=["three"]))
    assert [len(served(database)[name]) for name in ("events", "ledger")] == [30, 1]


def test_text_that_the_server_cannot_hold_is_told_apart(tmp_path: Path, database: str) -> None:
    made = make(
        tmp_path,
        "one",
        extra=[
            "update events set note = 'a' || chr(0) || 'b'",
            "create table rejected_events as select 'web' as source, date '2026-01-01' as landed_on, 'a' as file,"
            " 1 as line, null::bigint as \"index\", '{' || chr(0) as raw, false as raw_is_base64",
        ],
    )
    serve(database, made)
    tables = served(database)
    assert {row[8] for row in tables["events"]} == {"a␀b"}
    assert tables["rejected_events"][0][-2:] == ("ewA=", True)


def test_a_number_that_the_server_cannot_hold_is_its_text_there(tmp_path: Path, database: str) -> None:
    long, text = "9" * 131_073, '": 1e200000, "'
    sent = f'{{"a": 1e200000, "b": [-1.5E+131072, {long}], "c": {json.dumps(text)}, "d": 1e30, "e": null}}'
    made = make(tmp_path, "one", events=1, extra=[f"update events set properties = '{sent}'"])
    serve(database, made)
    with psycopg.connect(database) as server:
        kept = server.execute(
            "select properties -> 'a', properties -> 'b', properties ->> 'c', (properties -> 'd')::numeric, properties -> 'e'"
            " from eventpipe.events"
        ).fetchone()
    assert kept == ("1e200000", ["-1.5E+131072", long], text, Decimal("1e30"), None)


def test_identifiers_of_any_length_are_served(tmp_path: Path, database: str) -> None:
    """Longer than an ordered index takes, of letters that do not compress."""
    noise = "(select string_agg(md5(i::varchar || '{}'), '') from range(400) as t(i))"
    table = (
        "create table contact_identifiers as select 'default' as workspace_id, 'c1' as contact_id,"
        " 'device' as identifier_type, {} as identifier_value, {} as event_count"
    )
    one = make(tmp_path, "one", extra=[table.format(noise.format("x"), 1)])
    two = make(tmp_path, "two", known=["one"], extra=[table.format(noise.format("x"), 2)])
    serve(database, one)
    assert serve(database, two, one).removed >= 1
    assert served(database) == expected(two)


def test_descriptions_keys_and_indexes_are_there(tmp_path: Path, database: str) -> None:
    """Descriptions also where nothing but them has changed."""
    other = ["comment on table events is 'Once.'", "comment on column events.value is 'Once.'"]
    one = make(tmp_path, "one", extra=[*other, "comment on column events.note is 'No more.'"])
    serve(database, one)
    serve(database, make(tmp_path, "two", known=["one"]), one)
    with psycopg.connect(database) as connection:
        about = "select obj_description('eventpipe.events'::regclass)"
        assert connection.execute(about).fetchone() == ("What happened: 100 % of it. Grain: event_id.",)
        column = "select col_description('eventpipe.events'::regclass, 5)"
        assert connection.execute(column).fetchone() == ("In `currency`; :refunds are negative.",)
        told = "select count(*) from pg_description where objoid = 'eventpipe.events'::regclass"
        assert connection.execute(told).fetchone() == (2,)
        found = connection.execute(
            "select indexdef from pg_indexes where schemaname = 'eventpipe' order by indexname"
        ).fetchall()
    indexes = "\n".join(definition for (definition,) in found)
    assert "UNIQUE INDEX pk_events ON eventpipe.events USING btree (event_id)" in indexes
    assert "events USING btree (contact_id, occurred_at)" in indexes
    assert "events USING btree (event_name, occurred_at)" in indexes
    assert "USING gin (properties jsonb_path_ops)" in indexes
    assert "(contact_id, goal_type, md5(goal_name), currency) NULLS NOT DISTINCT" in indexes


def test_a_run_that_lost_its_lease_cannot_publish(tmp_path: Path, database: str) -> None:
    one, two = make(tmp_path, "one"), make(tmp_path, "two", known=["one"])
    one.epoch, two.epoch = 3, 2
    serve(database, one)
    with pytest.raises(Fenced, match="later lease"):
        serve(database, two, one)
    assert served(database) == expected(one)


def test_another_projects_tables_are_left_alone(tmp_path: Path, database: str) -> None:
    one, stranger = make(tmp_path, "one"), make(tmp_path, "stranger")
    serve(database, one)
    with pytest.raises(StageFailed, match="another project publishes there"):
        serve(database, stranger)
    assert served(database) == expected(one)


def test_tables_of_other_exports_are_left_alone_also_where_the_ops_store_is_shared(
    tmp_path: Path, database: str
) -> None:
    """Two projects with one EVENTPIPE_OPS know each other's runs."""
    one = make(tmp_path, "one")
    elsewhere = "update ledger set source = 'kiosk'"
    stranger = make(tmp_path, "stranger", known=["one"], extra=[elsewhere])
    empty = make(tmp_path, "empty", known=["one"], extra=["delete from ledger"])
    serve(database, one)
    for other in (stranger, empty):
        with pytest.raises(StageFailed, match="tables of 1 export, none of which has landed here"):
            serve(database, other)
    assert served(database) == expected(one)
    serve(database, make(tmp_path, "two", known=["one"]))  # its file is lost, its exports are not
    renamed = make(tmp_path, "three", known=["two"], extra=[elsewhere])
    serve(database, renamed, make(tmp_path, "of two", known=["one"]))


def test_objects_inside_of_objects_are_built_by_functions_that_the_oldest_server_has() -> None:
    """JSON_OBJECT('a': 1) came with PostgreSQL 16."""
    view = Relation(
        "v", (), None, {}, "create view v as select json_object('a', json_object('b', json_object('c', 1))) as x"
    )
    assert view_sql(view, "eventpipe").count("JSONB_BUILD_OBJECT(") == 3
