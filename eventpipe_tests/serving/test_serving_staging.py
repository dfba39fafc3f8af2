"""A large first edition is filled over several sessions where nobody reads: readers see all of it or nothing, and what
a publish leaves that ended early is cleared away by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

import psycopg
import pytest
from sqlalchemy.exc import DataError

from eventpipe.errors import StageFailed
from eventpipe.serving.postgres.server import PublishBlocked
from eventpipe.serving.postgres.staging import _Sessions
from eventpipe_tests.serving.editions import Made, expected, make, serve, served, start_serving, target, uploader
from eventpipe_tests.serving.test_serving_faults import Pauses, meanwhile, wait_until_it_waits

ALWAYS = 0


class Stopped(Exception):
    """Before the commit."""


def leave(url: str, made: Made, look: Callable[[], None] = lambda: None) -> None:
    """A publish that ends before its commit, after a look at what others see by then."""

    @contextmanager
    def stopped() -> Iterator[None]:
        look()
        raise Stopped
        yield

    with pytest.raises(Stopped):
        uploader(url, staged_from=ALWAYS).upload(made.edition(), None, stopped)


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select nspname from pg_namespace where nspname like 'eventpipe%'").fetchall()
    return {name for (name,) in found}


def described(url: str, schema: str) -> list[tuple[object, ...]]:
    """All that the server says of the tables of a schema but their rows."""
    queries = (
        "select c.relname, c.relkind, c.relpersistence, c.reloptions, c.relallvisible, pg_get_userbyid(c.relowner), c.relacl::text,"
        " obj_description(c.oid, 'pg_class'), replace(pg_get_indexdef(c.oid), %(schema)s || '.', '')"
        " from pg_class c where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'i', 'v')",
        "select c.relname, a.attname, a.attnum, a.attnotnull, a.attcollation,"
        " format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)"
        " from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " where c.relnamespace = %(schema)s::regnamespace and a.attnum > 0",
        "select conname, contype, pg_get_constraintdef(oid) from pg_constraint"
        " where connamespace = %(schema)s::regnamespace",
        # The server's own analysis may come by, and looks at more columns.
        "select distinct tablename from pg_stats where schemaname = %(schema)s and tablename not like 'uq_%%'",
    )
    with psycopg.connect(url) as connection:
        return sorted(
            (row for query in queries for row in connection.execute(query.encode(), {"schema": schema}).fetchall()),
            key=repr,
        )


def test_the_tables_are_those_that_one_session_makes(tmp_path: Path, database: str) -> None:
    """In rows, types, keys, indexes, comments, rights and statistics; nothing is left where they were filled."""
    made = make(tmp_path, "one", events=300)
    staged = uploader(database, staged_from=ALWAYS)
    brought = staged.upload(made.edition(), None, nullcontext)
    assert brought == replace(uploader(database), server=replace(target(database), schema="plain")).upload(
        made.edition(), None, nullcontext
    )
    assert served(database) == expected(made)
    assert described(database, "eventpipe") == described(database, "plain")
    assert schemas(database) == {"eventpipe"}


def test_the_next_edition_moves_what_changed(tmp_path: Path, database: str) -> None:
    one = make(tmp_path, "one", events=300)
    two = make(tmp_path, "two", events=300, shift=7, known=["one"])
    serve(database, one, staged_from=ALWAYS)
    serve(database, two, one, staged_from=ALWAYS)
    assert served(database) == expected(two)
    assert schemas(database) == {"eventpipe"}


@pytest.mark.parametrize("then", [ALWAYS, 1_000_000])
def test_before_the_commit_nobody_sees_anything_and_the_next_publish_clears_it_away(
    tmp_path: Path, database: str, then: int
) -> None:
    one, two = make(tmp_path, "one", events=300), make(tmp_path, "two", shift=3)
    seen = list[object]()
    leave(database, one, lambda: seen.append((schemas(database), served(database))))
    assert seen == [({"eventpipe_staging"}, {})]
    assert served(database) == {}
    serve(database, two, staged_from=then)
    assert served(database) == expected(two)
    assert schemas(database) == {"eventpipe"}


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_a_first_publish_killed_at_any_moment(tmp_path: Path, database: str, kills: int) -> None:
    random, made = Random(79), make(tmp_path, "one", events=3_000)
    whole, began = expected(made), time.monotonic()
    serve(database, made, staged_from=ALWAYS)
    seconds = time.monotonic() - began
    for _ in range(kills):
        with psycopg.connect(database) as owner:
            owner.execute("drop schema eventpipe cascade")
        process = start_serving(database, made, None, staged_from=ALWAYS)
        time.sleep(random.uniform(0.1, 1.0) * seconds)
        process.kill()
        process.join()
        assert served(database) in ({}, whole)
        serve(database, made, staged_from=ALWAYS)
        assert served(database) == whole
        assert schemas(database) == {"eventpipe"}


def test_a_second_publisher_waits_for_the_first(tmp_path: Path, database: str) -> None:
    """While tables are filled, and to its end: it neither clears them away nor adds to them."""
    one, two = make(tmp_path, "one", events=300), make(tmp_path, "two", shift=3)

    @contextmanager
    def another() -> Iterator[None]:
        with pytest.raises(PublishBlocked):
            serve(database, two, lock_timeout="1s", staged_from=ALWAYS)
        yield

    uploader(database, staged_from=ALWAYS).upload(one.edition(), None, another)
    assert served(database) == expected(one)


def test_a_session_that_is_ended_is_tried_again(tmp_path: Path, database: str) -> None:
    """What an earlier publish left is held by somebody, so the session that clears it away waits, and is ended."""
    one = make(tmp_path, "one", events=300)
    leave(database, one)

    def end_it(session: psycopg.Connection[tuple[object, ...]]) -> None:
        session.execute("begin")
        session.execute("select from eventpipe_staging.events for update")
        session.execute("select pg_terminate_backend(%s)", [wait_until_it_waits(session)])
        session.execute("rollback")

    pauses = Pauses()
    publishing = replace(uploader(database, lock_timeout="30s", staged_from=ALWAYS), sleep=pauses.append)
    with meanwhile(database, end_it):
        publishing.upload(one.edition(), None, nullcontext)
    assert pauses == [1.0]
    assert served(database) == expected(one)


def test_what_fails_in_one_session_ends_the_others(database: str) -> None:
    server = target(database)
    with server.connect() as first, server.connect() as second:
        sessions = _Sessions(server, [first, second])

        def sleep() -> None:
            with sessions.transaction() as connection:
                connection.exec_driver_sql("select pg_sleep(60)")

        def fail() -> None:
            with sessions.transaction() as connection:
                connection.exec_driver_sql("select 1 / 0")

        def both() -> None:
            with sessions.work():
                sessions.begin(sleep)
                sessions.begin(fail).result()

        began = time.monotonic()
        with pytest.raises(DataError, match="division by zero"):
            both()
        assert time.monotonic() - began < 30


def test_somebody_elses_schema_is_left_alone(tmp_path: Path, database: str) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("create schema eventpipe_staging")
        owner.execute("create table eventpipe_staging.notes as select 'mine' as note")
    with pytest.raises(StageFailed, match="eventpipe_staging"):
        serve(database, make(tmp_path, "one"), staged_from=ALWAYS)
    assert served(database, "eventpipe_staging") == {"notes": [("mine",)]}
    assert schemas(database) == {"eventpipe_staging"}
