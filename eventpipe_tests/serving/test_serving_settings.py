"""Servers, databases and roles that somebody set up in another way: what they hold is the same, or they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from eventpipe.errors import EventpipeError
from eventpipe.ops import lease as leases
from eventpipe.ops.store import OpsStore
from eventpipe.serving.reading import reading
from eventpipe_tests.builders import project
from eventpipe_tests.postgres import Postgres
from eventpipe_tests.serving.editions import expected, make, serve, served, target


@pytest.fixture
def latin(server: Postgres) -> Iterator[str]:
    """A database that keeps text as LATIN1."""
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0")
        yield make_url(server.url).set(database="latin").render_as_string(hide_password=False)
        owner.execute("drop database latin with (force)")


def test_no_setting_of_a_database_changes_what_is_served(tmp_path: Path, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        name = owner.info.dbname
        known = {row[0] for row in owner.execute("select name from pg_settings").fetchall()}
        for setting, value in {
            "datestyle": "German, DMY",
            "timezone": "Asia/Kathmandu",
            "client_encoding": "LATIN1",
            "standard_conforming_strings": "off",
            "default_transaction_isolation": "serializable",
            "synchronous_commit": "off",
            "bytea_output": "escape",
            "statement_timeout": "54321",
            "idle_in_transaction_session_timeout": "54321",
            "transaction_timeout": "54321",
        }.items():
            if setting in known:  # the last one since 17
                owner.execute(f"alter database {name} set {setting} = '{value}'".encode())
    one = make(tmp_path, "one")
    two = make(tmp_path, "two", events=60, known=["one"], extra=["update events set note = 'żółć 日本 \\d'"])
    serve(database, one)
    serve(database, two, one)
    with target(database).writing() as connection:
        limits = connection.execute(text("select name from pg_settings where setting = '54321'"))
        assert limits.all() == []

    with OpsStore.open(database) as store:
        now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        held = leases.acquire(store, "run", now=lambda: now, wait=timedelta())
        assert leases.current(store).acquired_at == now
        held.release()

    with reading(project(tmp_path, serving={"url": database})) as store:
        told = store.ask(r"select min(occurred_at), '\d' from events").fetch(1)
        assert told == [(datetime(2026, 1, 1, tzinfo=UTC), r"\d")]

    with psycopg.connect(make_url(database).set(database="postgres").render_as_string(), autocommit=True) as owner:
        owner.execute(f"alter database {name} reset all".encode())
    assert served(database) == expected(two)


def test_a_database_without_everybodys_names_is_refused(tmp_path: Path, latin: str) -> None:
    """Text would be taken for the server's own, byte by byte."""
    told = "keeps text as LATIN1.*encoding 'UTF8'"
    with pytest.raises(EventpipeError, match=told):
        serve(latin, make(tmp_path, "one"))
    with pytest.raises(EventpipeError, match=told):
        OpsStore.open(latin)
