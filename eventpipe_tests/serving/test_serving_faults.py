"""What is tried again, and how often: each fault provoked on the server itself by a second session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from os import dup
from pathlib import Path
from socket import SHUT_RDWR, socket

import psycopg
import pytest

from eventpipe.errors import StageFailed
from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres.server import APPLICATION, PublishBlocked, ServerUnreachable
from eventpipe.serving.postgres.upload import ATTEMPTS, Uploaded, Uploader
from eventpipe_tests.serving.editions import Made, expected, make, serve, served, target, uploader

_SECOND = "the second session"


@pytest.fixture
def before(tmp_path: Path, database: str) -> Made:
    """An edition that is served."""
    made = make(tmp_path, "one", events=300)
    serve(database, made)
    return made


@pytest.fixture
def after(tmp_path: Path) -> Made:
    """The next one, which changes rows of every table."""
    return make(tmp_path, "two", events=300, shift=7, known=["one"])


class Pauses(list[float]):
    """The pauses between attempts, taken down instead of taken."""

    def publish(self, url: str, made: Made, base: Made, lock_timeout: str = "30s") -> Uploaded:
        publishing: Uploader = replace(uploader(url, lock_timeout=lock_timeout), sleep=self.append)
        return publishing.upload(made.edition(), base.base(), nullcontext)


@contextmanager
def meanwhile(
    url: str, work: Callable[[psycopg.Connection[tuple[object, ...]]], None], name: str = _SECOND
) -> Iterator[None]:
    """A second session beside the block; what goes wrong in it fails the test."""
    failed: list[BaseException] = []

    def worked() -> None:
        try:
            with psycopg.connect(url, autocommit=True, application_name=name) as session:
                work(session)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=worked)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
    assert failed == []


def wait_until_it_waits(session: psycopg.Connection[tuple[object, ...]], name: str = APPLICATION) -> int:
    """The process of the publish, or of another session, once it waits for a lock."""
    waiting = (
        "select pid from pg_stat_activity"
        " where application_name = %s and datname = current_database() and wait_event_type = 'Lock'"
    )
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        session.execute("select pg_stat_clear_snapshot()")  # a transaction sees what its first look saw
        found = session.execute(waiting, [name]).fetchone()
        if found is not None:
            return int(str(found[0]))
        time.sleep(0.005)
    raise AssertionError(f"{name} never waited for a lock")


def test_a_deadlock_is_tried_again(database: str, before: Made, after: Made) -> None:
    """A second session locks a row of a later table, then one of a table that the publish has been through: the
    server ends the publish, whose second attempt brings everything.

    The server looks for a deadlock once, when a session has waited for a second. So a third session keeps the publish
    from the later table until the second one waits: what the publish waits for from then on is the last link.
    """
    locked, gated = threading.Event(), threading.Event()

    def cross(session: psycopg.Connection[tuple[object, ...]]) -> None:
        session.execute("set deadlock_timeout = '1min'")  # it is not this session that the server ends
        session.execute("begin")
        session.execute("select from eventpipe.events for update")
        locked.set()
        wait_until_it_waits(session)
        session.execute("select from eventpipe.contacts for update")
        session.execute("rollback")

    def gate(session: psycopg.Connection[tuple[object, ...]]) -> None:
        session.execute("begin")
        session.execute("lock table eventpipe.events in share mode")
        gated.set()
        wait_until_it_waits(session, _SECOND)
        session.execute("commit")

    pauses = Pauses()
    with meanwhile(database, cross), meanwhile(database, gate, "the third session"):
        assert locked.wait(30)
        assert gated.wait(30)
        pauses.publish(database, after, before)
    assert pauses == [1.0]
    assert served(database) == expected(after)


def test_a_serialisation_failure_is_tried_again(database: str, before: Made, after: Made) -> None:
    """On a server whose transactions are serializable by default, another one writes what the publish waits for."""
    with psycopg.connect(database, autocommit=True) as owner:
        name = owner.info.dbname
        owner.execute(f"alter database {name} set default_transaction_isolation = 'serializable'".encode())
    locked = threading.Event()

    def overtake(session: psycopg.Connection[tuple[object, ...]]) -> None:
        session.execute("begin")
        session.execute("update eventpipe.publication set published_at = now()")
        locked.set()
        wait_until_it_waits(session)
        session.execute("commit")

    pauses = Pauses()
    with meanwhile(database, overtake):
        assert locked.wait(30)
        pauses.publish(database, after, before)
    assert pauses == [1.0]
    assert served(database) == expected(after)


def test_a_connection_that_is_ended_in_the_midst_is_tried_again(database: str, before: Made, after: Made) -> None:
    """Between its rows: a lock holds it up in `events`, when rows of other tables are gone and come already."""
    locked = threading.Event()

    def end_it(session: psycopg.Connection[tuple[object, ...]]) -> None:
        session.execute("begin")
        session.execute("select from eventpipe.events for update")
        locked.set()
        session.execute("select pg_terminate_backend(%s)", [wait_until_it_waits(session)])
        session.execute("rollback")

    pauses = Pauses()
    with meanwhile(database, end_it):
        assert locked.wait(30)
        pauses.publish(database, after, before)
    assert pauses == [1.0]
    assert served(database) == expected(after)


def test_tries_are_bounded(database: str, before: Made, after: Made) -> None:
    """Whose every connection is ended gets the error in the end, with the last good tables still served."""
    locked = threading.Event()

    def end_each(session: psycopg.Connection[tuple[object, ...]]) -> None:
        session.execute("begin")
        session.execute("select from eventpipe.events for update")
        locked.set()
        for _ in range(ATTEMPTS):
            session.execute("select pg_terminate_backend(%s, 10000)", [wait_until_it_waits(session)])
        session.execute("rollback")

    pauses = Pauses()
    with meanwhile(database, end_each):
        assert locked.wait(30)
        with pytest.raises(ServerUnreachable, match=r"again and again.*still those of the run before"):
            pauses.publish(database, after, before)
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert served(database) == expected(before)
    Pauses().publish(database, after, before)
    assert served(database) == expected(after)


def test_a_row_that_somebody_holds_is_waited_for_and_then_told(database: str, before: Made, after: Made) -> None:
    """It is no failure, and not worth another try: whoever holds it is named."""
    pauses = Pauses()
    with psycopg.connect(database, application_name="a correction by hand") as holder:
        holder.execute("select from eventpipe.events for update")
        with pytest.raises(PublishBlocked, match=r"Held by: process \d+ of \w+ \(a correction by hand\)"):
            pauses.publish(database, after, before, lock_timeout="1s")
    assert pauses == []
    assert served(database) == expected(before)


def test_a_statement_has_an_end(database: str, before: Made, after: Made) -> None:
    with psycopg.connect(database) as holder:
        holder.execute("select from eventpipe.events for update")
        made = uploader(database, lock_timeout="60s")
        impatient = replace(made, server=replace(made.server, statement_timeout=made.server.lock_timeout / 200))
        with pytest.raises(StageFailed, match=r"longer than serving\.statement_timeout"):
            impatient.upload(after.edition(), before.base(), nullcontext)
    assert served(database) == expected(before)


def test_memory_that_does_not_do_is_told(database: str, before: Made, after: Made) -> None:
    """The engine stops while its rows travel, in the thread that writes them: half of them are none."""
    poor = replace(uploader(database), engine=EngineSettings(memory="1MB", threads=1, temp_space="1MB"))
    with pytest.raises(StageFailed, match=r"The engine stopped.*engine\.memory"):
        poor.upload(after.edition(), before.base(), nullcontext)
    assert served(database) == expected(before)


def test_a_commit_whose_answer_was_lost_is_recognised(database: str, before: Made, after: Made) -> None:
    """The server committed, the connection broke: the next attempt sends nothing, and the caller hears of the commit."""
    told: list[str] = []

    @contextmanager
    def committing() -> Iterator[None]:
        yield
        told.append("committed")
        if told == ["committed"]:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    pauses: list[float] = []
    publishing = replace(uploader(database), sleep=pauses.append)
    assert publishing.upload(after.edition(), before.base(), committing) == Uploaded(0, 0)
    assert (told, pauses) == (["committed", "committed"], [1.0])
    assert served(database) == expected(after)


def test_a_statement_whose_client_is_gone_ends(database: str) -> None:
    """Else the next publish would wait for locks that nobody needs any more, as long as an index takes."""
    with target(database).connect() as connection:
        target(database).set_up(connection)
        driver = connection.connection.driver_connection
        assert driver is not None
        process = driver.info.backend_pid
        driver.pgconn.send_query(b"select pg_sleep(60)")
        driver.pgconn.flush()
        with socket(fileno=dup(driver.pgconn.socket)) as wire:
            wire.shutdown(SHUT_RDWR)  # what the server hears when the client's process is killed
        connection.invalidate()
    with psycopg.connect(database, autocommit=True) as owner:
        ends = time.monotonic() + 30
        while owner.execute("select from pg_stat_activity where pid = %s", [process]).fetchone() is not None:
            assert time.monotonic() < ends
            time.sleep(0.05)
