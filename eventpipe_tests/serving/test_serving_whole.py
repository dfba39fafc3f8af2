"""Promise 3 on a server: readers see one run or the next, whole, whatever is killed; the next publish completes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import psycopg
import pytest

from eventpipe.failpoints import SERVER_POINTS
from eventpipe.serving.postgres.server import PublishBlocked
from eventpipe_tests.postgres import Postgres
from eventpipe_tests.serving.editions import Made, Served, expected, make, serve, served, start_serving

EVENTS = 3_000


class History:
    """Publishes one edition after another on one server, of which any may be cut short."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.number = 0
        self.known: set[str] = set()
        self.current = self.next()
        serve(url, self.current)
        self.tables = expected(self.current)

    def next(self) -> Made:
        """The next edition: some rows gone, some changed, some new."""
        self.number += 1
        run_id = f"run{self.number}"
        made = make(self.folder, run_id, events=EVENTS, shift=self.number * 40, known=sorted(self.known))
        self.known.add(run_id)
        return made

    def check(self, tried: Made) -> None:
        """What is served is the edition before, whole, or the one that was tried."""
        seen, after = served(self.url), expected(tried)
        if seen == after:
            self.current, self.tables = tried, after
        else:
            assert_same(seen, self.tables)


def assert_same(seen: Served, wanted: Served) -> None:
    assert {name: len(rows) for name, rows in seen.items()} == {name: len(rows) for name, rows in wanted.items()}
    assert seen == wanted


def seconds_of_a_publish(history: History) -> float:
    made = history.next()
    process = start_serving(history.url, made, history.current)
    started = time.monotonic()
    process.join()
    seconds = time.monotonic() - started
    history.check(made)
    assert history.current is made
    return seconds


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_a_publish_killed_at_any_moment(tmp_path: Path, database: str, kills: int) -> None:
    random, history = Random(71), History(tmp_path, database)
    whole = seconds_of_a_publish(history)
    for _ in range(kills):
        made = history.next()
        process = start_serving(database, made, history.current)
        time.sleep(random.uniform(0.0, 1.0) * whole)
        process.kill()
        process.join()
        history.check(made)
    last = history.next()
    serve(database, last, history.current)
    assert_same(served(database), expected(last))


@pytest.mark.parametrize("stops", [2, pytest.param(50, marks=pytest.mark.soak)])
def test_a_server_stopped_at_any_moment(tmp_path: Path, server: Postgres, database: str, stops: int) -> None:
    if server.cluster is None:
        pytest.skip("the server is not ours to stop")
    random, history = Random(73), History(tmp_path, database)
    whole = seconds_of_a_publish(history)
    for _ in range(stops):
        made = history.next()
        process = start_serving(database, made, history.current)
        time.sleep(random.uniform(0.0, 1.0) * whole)
        server.cluster.stop_at_once()
        server.cluster.start()
        process.join()  # it has tried again by itself
        history.check(made)
        assert history.current is made or process.exitcode != 0
    last = history.next()
    serve(database, last, history.current)
    assert_same(served(database), expected(last))


@pytest.mark.parametrize("point", SERVER_POINTS)
def test_a_publish_killed_beside_its_commit(tmp_path: Path, database: str, point: str) -> None:
    history = History(tmp_path, database)
    before, made = history.tables, history.next()
    process = start_serving(database, made, history.current, f"{point}:kill")
    process.join()
    assert_same(served(database), before if point == "publish.sent" else expected(made))
    serve(database, made, history.current)
    assert_same(served(database), expected(made))


@pytest.mark.parametrize("publishes", [6, pytest.param(20, marks=pytest.mark.soak)])
def test_a_reader_never_sees_related_tables_disagree(tmp_path: Path, database: str, publishes: int) -> None:
    """`ledger.accepted`, the events and the contacts' counts are one number, in one query or in one snapshot."""
    history, ended, wrong = History(tmp_path, database), threading.Event(), list[tuple[object, ...]]()
    looks = 0

    def look() -> None:
        nonlocal looks
        query = (
            "select (select count(*) from eventpipe.events), (select sum(event_count) from eventpipe.contacts),"
            " (select accepted from eventpipe.ledger)"
        )
        with psycopg.connect(database, autocommit=True) as connection:
            while not ended.is_set():
                found = connection.execute(query).fetchone()
                looks += 1
                if found is None or len(set(found)) != 1:
                    wrong.append(found or ())

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(publishes):
            made = make(
                tmp_path, f"more{number}", events=EVENTS // 2 + number, shift=number, known=sorted(history.known)
            )
            history.known.add(made.run_id)
            serve(database, made, history.current)
            history.current = made
    finally:
        ended.set()
        reader.join()
    assert looks > publishes
    assert wrong == []


def test_a_reader_in_a_transaction_does_not_hold_a_publish_up(tmp_path: Path, database: str) -> None:
    history = History(tmp_path, database)
    made = history.next()
    with psycopg.connect(database) as reader:
        reader.execute("set transaction isolation level repeatable read")
        before = reader.execute("select count(*), min(event_id) from eventpipe.events").fetchone()
        serve(database, made, history.current, lock_timeout="1s")
        assert reader.execute("select count(*), min(event_id) from eventpipe.events").fetchone() == before
    assert_same(served(database), expected(made))


def test_who_only_reads_is_not_named_where_somebody_else_blocks(tmp_path: Path, database: str) -> None:
    history = History(tmp_path, database)
    made = history.next()
    with (
        psycopg.connect(database, application_name="night report") as reader,
        psycopg.connect(database, application_name="maintenance") as blocker,
    ):
        reader.execute("select count(*) from eventpipe.events")
        blocker.execute("lock table eventpipe.events in share mode")
        with pytest.raises(PublishBlocked, match=r"Held by: process \d+ of \w+ \(maintenance\)[^;]*$"):
            serve(database, made, history.current, lock_timeout="1s")
        blocker.rollback()
    serve(database, made, history.current)
    assert_same(served(database), expected(made))


def test_who_blocks_a_change_of_columns_is_named(tmp_path: Path, database: str) -> None:
    history = History(tmp_path, database)
    made = make(tmp_path, "wider", known=["run1"], extra=["alter table events add column channel varchar"])
    with psycopg.connect(database, application_name="night report") as reader:
        reader.execute("select count(*) from eventpipe.events")
        started = time.monotonic()
        with pytest.raises(PublishBlocked, match=r"Held by: process \d+ of \w+ \(night report\)"):
            serve(database, made, history.current, lock_timeout="1s")
        assert time.monotonic() - started < 10
        with suppress(psycopg.Error):
            reader.rollback()
    assert_same(served(database), history.tables)
    serve(database, made, history.current)
    assert_same(served(database), expected(made))
