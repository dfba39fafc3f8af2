"""The ops store in PostgreSQL: the same tables, the same lease."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    Integer,
    LargeBinary,
    insert,
    inspect,
    select,
    text,
)

from eventpipe.errors import LeaseHeld, UsageError
from eventpipe.ops import lease as leases
from eventpipe.ops.engines import POSTGRES_SCHEMA
from eventpipe.ops.faults import OpsStoreError
from eventpipe.ops.move import move
from eventpipe.ops.place import is_made
from eventpipe.ops.process import Process
from eventpipe.ops.schema import VERSION_TABLE
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import metadata
from eventpipe.ops.utc import UtcDateTime

ELSEWHERE = Process("another-host", 1, "")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def take(store: OpsStore, holder: str, clock: Clock, wait: int = 0) -> leases.Lease:
    return leases.acquire(
        store, holder, now=clock, wait=timedelta(seconds=wait), sleep=lambda _: None, process=ELSEWHERE
    )


def test_migrations_make_exactly_the_tables_that_the_code_declares(database: str) -> None:
    assert not is_made(database)
    with OpsStore.open(database) as store, store.read() as connection:
        names = set(inspect(connection).get_table_names(schema=POSTGRES_SCHEMA))
        assert names == {*metadata.tables, VERSION_TABLE}
        connection.execute(text(f"set local search_path = {POSTGRES_SCHEMA}"))
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    assert is_made(database)


def test_many_processes_may_open_a_new_store_at_once(database: str) -> None:
    def opened(_: int) -> str:
        with OpsStore.open(database) as store:
            return store.place

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(opened, range(8)))) == 1


def test_one_run_holds_the_lease_and_the_second_is_told_who(database: str) -> None:
    clock = Clock()
    with OpsStore.open(database) as store:
        take(store, "first", clock)
        with pytest.raises(LeaseHeld, match="run first"):
            take(store, "second", clock, wait=1)


def test_a_run_that_lost_its_lease_commits_nothing(database: str) -> None:
    clock = Clock()
    with OpsStore.open(database) as store:
        first = take(store, "first", clock)
        clock.now += timedelta(minutes=5)
        second = take(store, "second", clock)
        assert second.epoch == first.epoch + 1
        with pytest.raises(leases.Fenced), first.begin():
            pass
        with second.begin() as connection:
            second.check(connection)


def test_a_commit_under_way_is_waited_for_by_who_takes_over(database: str) -> None:
    """The taker's lock comes after the commit, so it sees a renewed lease and leaves it alone."""
    clock = Clock()
    with OpsStore.open(database) as store, ThreadPoolExecutor(1) as pool:
        first = take(store, "first", clock)
        clock.now += timedelta(minutes=5)
        with first.begin():
            taking = pool.submit(take, store, "second", clock)
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.5)
        with pytest.raises(LeaseHeld, match="run first"):
            taking.result(timeout=30)


def test_no_lock_outlives_its_transaction(database: str) -> None:
    """Session locks break behind poolers."""
    clock = Clock()
    with OpsStore.open(database) as store:
        lease = take(store, "first", clock)
        with lease.begin():
            pass
        with store.read() as connection:
            held = "select count(*) from pg_locks where locktype = 'advisory' and database ="
            held += " (select oid from pg_database where datname = current_database())"
            assert connection.execute(text(held)).scalar() == 0


def some(column: Column[Any], number: int) -> Any:
    """A value for a column that its checks allow, another one for each number."""
    allowed = re.findall(
        rf"\b{column.name} in \('(\w+)'",
        " ".join(str(each.sqltext) for each in column.table.constraints if isinstance(each, CheckConstraint)),
    )
    match column.type:
        case _ if allowed:
            return allowed[0]
        case UtcDateTime():
            return datetime(2026, 3, 1, 10, 0, 0, number, tzinfo=UTC)
        case Date():
            return date(2026, 3, number)
        case JSON():
            return {"a": [number, None, "ü☃"]}
        case LargeBinary():
            return bytes(range(256)) * number
        case Boolean():
            return bool(number % 2)
        case Float():
            return 0.1 + number
        case Integer():
            return 2**30 + number
        case _:
            return f"{column.name} ☃ {number}"


def remembered(store: OpsStore) -> dict[str, list[Any]]:
    with store.read() as connection:
        return {
            name: sorted(map(tuple, connection.execute(select(table)).all()), key=repr)
            for name, table in metadata.tables.items()
            if name != "run_lease"
        }


def test_a_store_that_moves_remembers_everything_and_opens_no_more_where_it_was(tmp_path: Path, database: str) -> None:
    clock = Clock()
    place = tmp_path / "ops.db"
    with OpsStore.open(place) as file, OpsStore.open(database) as server:
        for _ in range(3):
            epoch = take(file, "r", clock).epoch
            clock.now += timedelta(hours=1)
        with file.begin() as connection:
            for name, table in metadata.tables.items():
                if name != "run_lease":
                    rows = [{column.name: some(column, number) for column in table.columns} for number in (1, 2)]
                    connection.execute(insert(table), rows)
        before = remembered(file)
        assert all(before.values())
        assert move(file, server, now=clock, wait=timedelta()) == sum(map(len, before.values()))
        assert remembered(server) == before
        assert take(server, "next", clock).epoch > epoch
        clock.now += timedelta(days=400)
        with pytest.raises(LeaseHeld):
            take(file, "who had it open", clock)
    with pytest.raises(OpsStoreError, match=r"moved to postgresql"):
        OpsStore.open(place)


def test_a_store_moves_to_no_other_address_of_its_own(database: str) -> None:
    clock = Clock()
    with OpsStore.open(database) as one, OpsStore.open(database.replace("postgresql://", "postgres://")) as same:
        with pytest.raises(UsageError, match="by another address"):
            move(one, same, now=clock, wait=timedelta())
        take(one, "the next run", clock).release()


def test_a_store_moves_to_none_that_remembers_something_nor_while_a_run_works(tmp_path: Path, database: str) -> None:
    clock = Clock()
    with OpsStore.open(tmp_path / "ops.db") as file, OpsStore.open(database) as server:
        running = take(file, "running", clock)
        with pytest.raises(LeaseHeld, match="run running"):
            move(file, server, now=clock, wait=timedelta())
        running.release()
        row = {column.name: some(column, 1) for column in metadata.tables["runs"].columns}
        with server.begin() as connection:
            connection.execute(insert(metadata.tables["runs"]), [row])
        with pytest.raises(UsageError, match="in use"):
            move(file, server, now=clock, wait=timedelta())
        take(file, "the next run", clock).release()
    OpsStore.open(tmp_path / "ops.db").close()
