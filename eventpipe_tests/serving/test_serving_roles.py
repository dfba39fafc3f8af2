"""Roles: one publishes, one reads what is published and nothing else; masked views show nobody's identifiers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from eventpipe.cli.main import main
from eventpipe.errors import StageFailed, UsageError
from eventpipe.ops.faults import OpsStoreError
from eventpipe.ops.store import OpsStore
from eventpipe.serving.postgres import staging
from eventpipe.serving.postgres.server import PublishBlocked
from eventpipe_tests.builders import project
from eventpipe_tests.serving.editions import Made, make, serve, target, uploader

READER, WRITER = "eventpipe_reader", "eventpipe_writer"


def as_role(url: str, role: str) -> str:
    return make_url(url).set(username=role, password="secret").render_as_string(hide_password=False)


@pytest.fixture
def roles(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database on which `eventpipe admin init-db` was called, twice."""
    initialise(tmp_path, database, monkeypatch)
    initialise(tmp_path, database, monkeypatch)
    return database


def initialise(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, **serving: object) -> None:
    made = project(tmp_path / "project", serving=serving)
    monkeypatch.setenv("EVENTPIPE_SERVING_URL", url)
    monkeypatch.setenv("EVENTPIPE_READER_PASSWORD", "secret")
    monkeypatch.setenv("EVENTPIPE_WRITER_PASSWORD", "secret")
    assert main(["admin", "init-db", "--project", str(made.root)]) == 0


def test_the_reader_can_read_new_tables_and_nothing_else(tmp_path: Path, roles: str) -> None:
    one = make(tmp_path, "one")

    @contextmanager
    def before_it_is_published() -> Iterator[None]:
        with (
            psycopg.connect(as_role(roles, READER)) as reader,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema eventpipe_staging"),
        ):
            reader.execute("select count(*) from eventpipe_staging.events")
        yield

    uploader(as_role(roles, WRITER), staged_from=0).upload(one.edition(), None, before_it_is_published)
    serve(as_role(roles, WRITER), with_a_new_table(tmp_path), one)
    with OpsStore.open(as_role(roles, WRITER)):
        pass
    with psycopg.connect(roles, autocommit=True) as owner:
        owner.execute("create schema if not exists payroll")
        owner.execute("create table payroll.salaries (amount int)")
    with psycopg.connect(as_role(roles, READER), autocommit=True) as reader:
        assert reader.execute("select count(*) from events").fetchone() == (30,)
        assert reader.execute("select count(*) from later").fetchone() == (1,)
        assert reader.execute("select sum(events) from volume").fetchone() == (30,)
        for refused in (
            "delete from events",
            "insert into ledger default values",
            "drop table events",
            "create table eventpipe.mine (a int)",
            "create table public.mine (a int)",
            "create schema mine",
            "create temporary table mine (a int)",
            "select lo_from_bytea(0, 'mine')",
            "select lo_creat(-1)",
            "select * from eventpipe_ops.runs",
            "select * from payroll.salaries",
            f"set role {WRITER}",
        ):
            reader.execute("set default_transaction_read_only = off")  # nothing rests on that
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(refused.encode())


@pytest.mark.parametrize("mask", [(), ("email",)])
def test_who_runs_with_the_readers_address_is_told(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, mask: tuple[str, ...]
) -> None:
    initialise(tmp_path, database, monkeypatch, mask=mask)
    serve(as_role(database, WRITER), make(tmp_path, "one"), mask=mask)
    reader = uploader(as_role(database, READER), mask=mask)
    told = f"may not publish there.*Give a run the address of {WRITER}"
    if mask:
        with pytest.raises(StageFailed, match=told):
            reader.served()
    with pytest.raises(StageFailed, match=told):
        reader.upload(make(tmp_path, "two", known=["one"]).edition(), None, nullcontext)


def test_who_may_not_set_a_server_up_is_told(
    tmp_path: Path, roles: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in (READER, WRITER):
        monkeypatch.setenv("EVENTPIPE_ADMIN_URL", as_role(roles, role))
        assert main(["admin", "init-db", "--project", str(project(tmp_path / "project").root)]) == 1
        told = capsys.readouterr().err
        assert "may not set it up" in told
        assert "Nothing was changed" in told
    with pytest.raises(OpsStoreError, match=f"may not be used by this user.*address of {WRITER}"):
        OpsStore.open(as_role(roles, READER))


def test_an_option_that_nobody_knows_is_told(database: str) -> None:
    with pytest.raises(UsageError, match="nonsense"), target(f"{database}&nonsense=1").connect():
        pass
    with pytest.raises(OpsStoreError, match="nonsense"):
        OpsStore.open(f"{database}&nonsense=1")


def test_the_writer_is_told_which_reader_is_in_its_way(tmp_path: Path, roles: str) -> None:
    """The server tells it no more of another role's session than whose it is."""
    one, two = (
        make(tmp_path, "one"),
        make(tmp_path, "two", known=["one"], extra=["alter table events add column b int"]),
    )
    serve(as_role(roles, WRITER), one)
    with psycopg.connect(as_role(roles, READER), application_name="night report") as reader:
        reader.execute("select count(*) from events")
        with pytest.raises(PublishBlocked, match=rf"Held by: process \d+ of {READER} \(night report\)\."):
            serve(as_role(roles, WRITER), two, one, lock_timeout="1s")


def test_the_reader_is_held_to_its_time(roles: str) -> None:
    with psycopg.connect(as_role(roles, READER)) as reader:
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert reader.execute(f"show {setting}".encode()).fetchone() == ("5min",)
        assert reader.execute("show default_transaction_read_only").fetchone() == ("on",)


def test_what_was_published_before_there_were_roles_is_the_writers(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what a publish left there that was killed, while what others made in the schemas does not matter."""
    one = make(tmp_path, "one")
    serve(database, one)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create schema eventpipe_staging")
        owner.execute(f"comment on schema eventpipe_staging is '{staging.MARK}'")
        owner.execute("create table eventpipe_staging.events (half int)")
    initialise(tmp_path, database, monkeypatch)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("create table eventpipe.mine (a int)")
        owner.execute("create materialized view eventpipe.ours as select count(*) from eventpipe.events")
    serve(as_role(database, WRITER), with_a_new_table(tmp_path), one)
    with psycopg.connect(as_role(database, READER)) as reader:
        assert reader.execute("select count(*) from events").fetchone() == (30,)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("drop schema eventpipe cascade")
    initialise(tmp_path, database, monkeypatch)
    three = make(tmp_path, "three", known=["one", "two"])
    uploader(as_role(database, WRITER), staged_from=0).upload(three.edition(), None, nullcontext)
    with psycopg.connect(as_role(database, READER)) as reader:
        assert reader.execute("select count(*) from events").fetchone() == (30,)


def test_masked_views_show_no_identifier(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that could read the tables can read the views alone once there is a mask."""
    initialise(tmp_path, database, monkeypatch)
    one = make(tmp_path, "one")
    serve(as_role(database, WRITER), one)
    initialise(tmp_path, database, monkeypatch, mask=["email"])
    hidden = {
        "a": [1, {"Email": "a@example.com", "b": []}],
        "email": ["a@example.com"],
        "c": {"EMAIL": 1, "contact.email": "a@example.com"},
        "d": "email",
        "contact.traits.email": "a@example.com",
        "emails": 2,
    }
    two = make(
        tmp_path,
        "two",
        known=["one"],
        extra=[
            "create table later as select 1 as a",
            "create view versions as select event_id, 'k-a@example.com' as dedupe_key from main.events",
            f"update events set properties = '{json.dumps(hidden)}'",
        ],
    )
    serve(as_role(database, WRITER), two, one, mask=("email",))
    with psycopg.connect(as_role(database, READER), autocommit=True) as reader:
        assert reader.execute("select distinct email, traits from contacts").fetchall() == [("***", {"plan": "gold"})]
        assert reader.execute("select identifiers from events limit 1").fetchone() == ([["email", "***"]],)
        shown = {"a": [1, {"b": []}], "c": {}, "d": "email", "emails": 2}
        assert reader.execute("select distinct properties from events").fetchall() == [(shown,)]
        everything = [
            str(reader.execute(f"select * from {name}".encode()).fetchall())
            for name in ("contacts", "contact_goals", "events", "ledger", "volume", "later", "versions")
        ]
        assert "example.com" not in "".join(everything)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select * from eventpipe.contacts")


def test_a_server_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "init-db", "--project", str(project(tmp_path).root)]) == 2
    assert "name a server first" in capsys.readouterr().err


def test_a_password_is_in_no_message(database: str) -> None:
    address = make_url(database).set(username="nobody", password="s3cret-canary").render_as_string(hide_password=False)
    assert "s3cret-canary" not in repr(target(address)) + target(address).place


def with_a_new_table(tmp_path: Path) -> Made:
    return make(tmp_path, "two", known=["one"], extra=["create table later as select 1 as a"])
