"""Opening the ops store: made, migrated, recognised, refused; its transactions."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from eventpipe.errors import UsageError
from eventpipe.ops import schema
from eventpipe.ops.engines import engine_for, place_of
from eventpipe.ops.faults import OpsStoreError
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import backfills, metadata, run_lease, runs

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

RUN = {
    "run_id": "r1",
    "kind": "run",
    "started_at": NOON,
    "as_of": NOON,
    "status": "running",
    "stages": [],
    "counts": {},
    "eventpipe_version": "0",
    "full_refresh": False,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ops.db"


@contextmanager
def raw_file(path: Path) -> Iterator[sqlite3.Connection]:
    """The file without the store, closed at the end of the block: one that is closed when it is collected as garbage
    writes into the file at any later moment.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def pragma(path: Path, name: str) -> object:
    with OpsStore.open(path) as store, store.read() as connection:
        return connection.execute(text(f"pragma {name}")).scalar()


def test_a_new_store_has_every_table_and_a_free_lease(path: Path) -> None:
    with OpsStore.open(path) as store, store.read() as connection:
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, schema.VERSION_TABLE}
        assert connection.execute(select(run_lease.c.name, run_lease.c.epoch).order_by(run_lease.c.name)).all() == [
            ("delivery", 0),
            ("writer", 0),
        ]


def test_migrations_make_exactly_the_tables_that_the_code_declares(path: Path) -> None:
    with OpsStore.open(path) as store, store.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        for table in metadata.tables.values():
            declared = {constraint.name for constraint in table.constraints} - {None}
            found = inspect(connection)
            checks = {check["name"] for check in found.get_check_constraints(table.name)}
            uniques = {unique["name"] for unique in found.get_unique_constraints(table.name)}
            assert checks | uniques | {found.get_pk_constraint(table.name)["name"]} == declared


def test_the_newest_migration_is_the_version_that_open_looks_for() -> None:
    assert ScriptDirectory.from_config(schema._config()).get_heads() == [schema.HEAD]


def test_opening_again_keeps_what_was_stored(path: Path) -> None:
    for url_or_path in (path, str(path), f"sqlite:///{path}"):
        with OpsStore.open(url_or_path) as store, store.begin() as connection:
            connection.execute(update(run_lease).values(epoch=run_lease.c.epoch + 1))
    with OpsStore.open(path) as store, store.read() as connection:
        assert connection.execute(select(run_lease.c.epoch)).scalar() == 3


def test_an_empty_file_and_an_older_version_are_migrated(path: Path) -> None:
    path.touch()
    OpsStore.open(path).close()
    with raw_file(path) as raw:  # as a migration found it that was never finished
        for table in metadata.tables:
            raw.execute(f"drop table {table}")
        raw.execute(f"delete from {schema.VERSION_TABLE}")
    with OpsStore.open(path) as store, store.read() as connection:
        assert connection.execute(select(run_lease.c.epoch)).scalar() == 0


def test_a_failed_migration_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.bulk_insert", fail)
        with pytest.raises(RuntimeError, match="killed here"):
            OpsStore.open(path)
    with raw_file(path) as raw:
        assert raw.execute("select count(*) from sqlite_master").fetchone() == (0,)
    OpsStore.open(path).close()


def test_processes_that_open_a_new_store_at_once_all_succeed(path: Path) -> None:
    script = (
        "import sys, alembic.command; from eventpipe.ops.store import OpsStore;"
        "print('ready', flush=True); sys.stdin.readline(); OpsStore.open(sys.argv[1]); print('open')"
    )
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate(timeout=60)[0] for opener in openers] == ["open\n"] * 3
    with OpsStore.open(path) as store, store.read() as connection:
        assert connection.execute(select(run_lease.c.epoch)).all() == [(0,), (0,)]


def test_an_up_to_date_store_opens_without_alembic_or_polars(path: Path) -> None:
    OpsStore.open(path).close()
    script = (
        "import sys; from eventpipe.ops import backfills, lease, runs, store;"
        "store.OpsStore.open(sys.argv[1]);"
        "print(sorted({'alembic', 'mako', 'polars'} & sys.modules.keys()))"
    )
    opened = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, timeout=60, capture_output=True, text=True
    )
    assert opened.stdout.strip() == "[]"


def test_sqlite_is_durable_and_lets_readers_read(path: Path) -> None:
    assert pragma(path, "journal_mode") == "wal"
    assert pragma(path, "synchronous") == 2
    assert pragma(path, "foreign_keys") == 1
    assert pragma(path, "busy_timeout") == 30_000
    with OpsStore.open(path) as store, store.begin() as writing:
        writing.execute(update(run_lease).values(epoch=5))
        with store.read() as reading:
            assert reading.execute(select(run_lease.c.epoch)).scalar() == 0


def test_a_writer_locks_before_it_reads(path: Path) -> None:
    with OpsStore.open(path) as store, OpsStore.open(path, busy_timeout=timedelta(seconds=0.05)) as other:
        with (
            store.begin(),
            pytest.raises(OpsStoreError, match=r"ops\.db stayed locked by another process"),
            other.begin(),
        ):
            raise AssertionError("two writers at once")
        with other.begin():
            pass


def test_an_exception_rolls_back(path: Path) -> None:
    with OpsStore.open(path) as store:

        def insert_and_fail() -> None:
            with store.begin() as connection:
                connection.execute(insert(runs).values(RUN))
                raise KeyError

        with pytest.raises(KeyError):
            insert_and_fail()
        with store.read() as connection:
            assert connection.execute(select(runs.c.run_id)).all() == []


def test_instants_come_back_in_utc_and_sort_as_time_does(path: Path) -> None:
    tokyo = timezone(timedelta(hours=9))
    instants = [NOON.replace(microsecond=1), NOON.astimezone(tokyo), NOON - timedelta(hours=1)]
    with OpsStore.open(path) as store:
        with store.begin() as connection:
            for number, at in enumerate(instants):
                connection.execute(insert(runs).values({**RUN, "run_id": str(number), "started_at": at}))
            with pytest.raises(StatementError, match="naive"):
                connection.execute(insert(runs).values({**RUN, "started_at": NOON.replace(tzinfo=None)}))
        with store.read() as connection:
            query = select(runs.c.started_at).order_by(runs.c.started_at)
            found: list[datetime] = list(connection.execute(query).scalars())
    assert found == sorted(instants)
    assert all(at.tzinfo is UTC for at in found)


@pytest.mark.parametrize("wrong", [{"kind": "walk"}, {"status": "lost"}, {"as_of": None}])
def test_the_tables_refuse_nonsense(path: Path, wrong: dict[str, object]) -> None:
    with OpsStore.open(path) as store, pytest.raises(IntegrityError), store.begin() as connection:
        connection.execute(insert(runs).values({**RUN, **wrong}))


def test_errors_do_not_show_stored_values(path: Path) -> None:
    with OpsStore.open(path) as store, pytest.raises(IntegrityError) as caught, store.begin() as connection:
        connection.execute(insert(runs).values({**RUN, "kind": "ada@example.com"}))
    assert "ada@example.com" not in str(caught.value)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"name,value\n" * 1000)


def damaged_header(path: Path) -> None:
    OpsStore.open(path).close()
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])


def damaged_schema(path: Path) -> None:
    OpsStore.open(path).close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000 + path.read_bytes()[4100:])


def cut_short(path: Path) -> None:
    OpsStore.open(path).close()
    path.write_bytes(path.read_bytes()[:4096])


def lost_table(path: Path) -> None:
    OpsStore.open(path).close()
    with raw_file(path) as raw:
        raw.execute("drop table backfills")


@pytest.mark.parametrize("damage", [not_a_database, damaged_header, damaged_schema, cut_short, lost_table])
def test_a_damaged_store_is_refused_and_left_as_it_is(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    before = path.read_bytes()
    with pytest.raises(OpsStoreError, match="damaged") as caught:
        OpsStore.open(path)
    assert str(path) in str(caught.value)
    assert "Restore it from a backup" in str(caught.value)
    assert path.read_bytes() == before


def test_damage_found_later_is_explained_too(path: Path) -> None:
    with OpsStore.open(path) as store, store.begin() as connection:
        connection.execute(
            insert(backfills).values(
                [
                    {
                        "backfill_id": f"{n:06}",
                        "from_date": NOON,
                        "to_date": NOON,
                        "done": [],
                        "started_at": NOON,
                    }
                    for n in range(2000)
                ]
            )
        )
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))
    with (
        OpsStore.open(path) as store,
        pytest.raises(OpsStoreError, match="damaged"),
        store.read() as connection,
    ):
        connection.execute(select(backfills)).all()


def test_a_store_of_a_newer_eventpipe_is_refused(path: Path) -> None:
    OpsStore.open(path).close()
    with raw_file(path) as raw:
        raw.execute(f"update {schema.VERSION_TABLE} set version_num = '9999'")
    with pytest.raises(OpsStoreError, match=r"newer eventpipe: it has schema version 9999.*Install"):
        OpsStore.open(path)


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    with raw_file(path) as raw:
        raw.execute("create table invoices (id integer)")
    with pytest.raises(OpsStoreError, match=r"no ops store: it holds invoices.*EVENTPIPE_OPS"):
        OpsStore.open(path)
    with raw_file(path) as raw:
        assert raw.execute("select name from sqlite_master").fetchall() == [("invoices",)]


def test_a_place_is_told_with_all_that_says_where_and_no_more() -> None:
    address = "postgresql://ada:s3cret@/ops?host=/run/db&port=5433&sslpassword=s3cret&connect_timeout=3"
    engine = engine_for(address, timedelta())
    assert place_of(engine) == "postgresql://ada:***@/ops?host=%2Frun%2Fdb&port=5433"
    engine.dispose()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OpsStoreError, match=r"nowhere/ops\.db cannot be opened. Check that its folder exists"):
        OpsStore.open(tmp_path / "nowhere" / "ops.db")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"install eventpipe\[postgres\]"):
        OpsStore.open("postgresql://reader@example.org/shop")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", ":memory:", "mysql://u:secret@h/d", "://secret"])
def test_other_places_are_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        OpsStore.open(url)
    assert "secret" not in str(caught.value)
