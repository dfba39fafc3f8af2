"""One run writes at a time, and a run that lost its lease commits nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from eventpipe.errors import LeaseHeld
from eventpipe.ops import lease as leases
from eventpipe.ops.lease import Fenced, Lease, acquire
from eventpipe.ops.process import Process, this_process
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import backfills

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AT_ONCE = timedelta(0)
ELSEWHERE = Process(host="elsewhere", pid=4321, birth="")


class FakeClock:
    """A clock that moves only while somebody sleeps by it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ops.db"


@pytest.fixture
def store(path: Path) -> Iterator[OpsStore]:
    with OpsStore.open(path) as opened:
        yield opened


def wall_clock() -> datetime:
    return datetime.now(UTC)


def take(
    store: OpsStore,
    holder: str,
    clock: FakeClock,
    *,
    wait: timedelta = AT_ONCE,
    process: Process | None = None,
) -> Lease:
    return acquire(store, holder, now=clock, wait=wait, sleep=clock.sleep, process=process)


def write(lease: Lease, name: str) -> None:
    with lease.begin() as connection:
        day = NOON.date()
        connection.execute(
            insert(backfills).values(backfill_id=name, from_date=day, to_date=day, done=[], started_at=NOON)
        )


def written(store: OpsStore) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(backfills.c.backfill_id)).scalars())


def test_a_free_lease_is_taken_and_each_acquisition_raises_the_epoch(store: OpsStore, clock: FakeClock) -> None:
    for epoch in (1, 2, 3):
        lease = take(store, f"r{epoch}", clock)
        assert (lease.epoch, lease.holder) == (epoch, f"r{epoch}")
        write(lease, f"r{epoch}")
        lease.release()
        assert leases.current(store).holder is None
    assert written(store) == ["r1", "r2", "r3"]


def test_the_second_waits_and_then_says_who_holds_it_since_when_and_what_to_do(
    store: OpsStore, clock: FakeClock
) -> None:
    take(store, "first", clock)
    with pytest.raises(LeaseHeld) as caught:
        take(store, "second", clock, wait=10.2 * SECOND)
    assert clock.at - NOON == 10.2 * SECOND
    me = this_process()
    assert f"run first (process {me.pid} on {me.host}, since 2026-03-01 12:00:00 UTC)" in str(caught.value)
    assert "Waited 10 s; nothing was done" in str(caught.value)
    assert "elsewhere from 2026-03-01 12:01:00 UTC" in str(caught.value)


def test_the_second_gets_it_when_the_first_gives_it_back(store: OpsStore, clock: FakeClock) -> None:
    first = take(store, "first", clock)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.at >= NOON + 5 * SECOND:
            first.release()

    second = acquire(store, "second", now=clock, wait=60 * SECOND, sleep=sleep)
    assert second.epoch == 2
    assert clock.at == NOON + 5 * SECOND


def test_a_lease_of_another_host_is_free_when_it_expires(store: OpsStore, clock: FakeClock) -> None:
    take(store, "lost machine", clock, process=ELSEWHERE)
    with pytest.raises(LeaseHeld):
        take(store, "next", clock, wait=59 * SECOND)
    clock.sleep(1)
    assert take(store, "next", clock).epoch == 2


def test_dates_from_a_clock_that_ran_ahead_do_not_hold_it_for_ever(store: OpsStore, clock: FakeClock) -> None:
    clock.at = NOON + timedelta(days=300)
    take(store, "ahead", clock, process=ELSEWHERE)
    clock.at = NOON
    with pytest.raises(LeaseHeld):
        take(store, "next", clock, wait=59 * SECOND)
    assert take(store, "next", clock, wait=61 * SECOND).epoch == 2


def test_a_sign_of_life_begins_the_waiting_anew(store: OpsStore, clock: FakeClock) -> None:
    ahead = FakeClock()
    ahead.at = NOON + timedelta(days=300)
    living = take(store, "ahead", ahead, process=ELSEWHERE)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        ahead.sleep(seconds)
        if ahead.at.second == 0:
            living.renew()

    with pytest.raises(LeaseHeld):
        acquire(store, "next", now=clock, wait=200 * SECOND, sleep=sleep)


def test_a_fenced_writer_commits_nothing_and_cannot_give_back_what_it_lost(store: OpsStore, clock: FakeClock) -> None:
    old = take(store, "old", clock, process=ELSEWHERE)
    write(old, "before")
    clock.sleep(60)
    new = take(store, "new", clock)
    with pytest.raises(Fenced, match=r"Run old has lost its lease in .*ops\.db.*run new \(process"):
        write(old, "after")
    with pytest.raises(Fenced):
        old.renew()
    with pytest.raises(Fenced), store.begin() as connection:
        old.check(connection)
    old.release()
    write(new, "new")
    assert written(store) == ["before", "new"]


def test_an_expired_lease_that_nobody_took_still_commits(store: OpsStore, clock: FakeClock) -> None:
    lease = take(store, "slow", clock, process=ELSEWHERE)
    clock.sleep(3600)
    write(lease, "late")
    assert written(store) == ["late"]
    with pytest.raises(LeaseHeld):  # and the commit was a sign of life
        take(store, "next", clock)


def test_a_failed_transaction_is_no_sign_of_life(store: OpsStore, clock: FakeClock) -> None:
    lease = take(store, "failing", clock, process=ELSEWHERE)
    clock.sleep(59)
    with pytest.raises(KeyError), lease.begin():
        raise KeyError
    clock.sleep(1)
    assert take(store, "next", clock).epoch == 2


def test_nobody_takes_it_over_during_a_commit(store: OpsStore, path: Path, clock: FakeClock) -> None:
    lease = take(store, "committing", clock, process=ELSEWHERE)
    outcome: list[object] = []

    def take_over() -> None:
        with OpsStore.open(path) as other:
            try:
                outcome.append(take(other, "taker", clock).epoch)
            except LeaseHeld as held:
                outcome.append(held)

    clock.sleep(60)  # expired: the heartbeat cannot write during a long commit
    taker = threading.Thread(target=take_over)
    with lease.begin():
        taker.start()
        taker.join(0.3)
        assert taker.is_alive()
    taker.join(10)
    assert isinstance(outcome[0], LeaseHeld)


def test_asking_does_not_wait_for_the_holders_transaction(store: OpsStore, clock: FakeClock) -> None:
    lease = take(store, "committing", clock)
    with lease.begin():
        began = time.monotonic()
        with pytest.raises(LeaseHeld):
            take(store, "next", clock)
        assert time.monotonic() - began < 5  # the busy timeout is 30 s


def test_keep_alive_renews_until_its_block_ends(store: OpsStore) -> None:
    ttl = timedelta(seconds=0.9)
    lease = acquire(store, "r1", now=wall_clock, wait=AT_ONCE, ttl=ttl, process=ELSEWHERE)
    with lease.keep_alive():
        time.sleep(1.1)
        with pytest.raises(LeaseHeld):
            acquire(store, "r2", now=wall_clock, wait=AT_ONCE)
    assert not [thread for thread in threading.enumerate() if thread.name == "eventpipe-lease"]
    assert acquire(store, "r2", now=lambda: wall_clock() + SECOND, wait=AT_ONCE).epoch == 2


def test_keep_alive_ends_when_the_lease_is_lost(store: OpsStore, clock: FakeClock) -> None:
    ttl = timedelta(seconds=0.1)
    lease = acquire(store, "r1", now=lambda: NOON, wait=AT_ONCE, ttl=ttl, process=ELSEWHERE)
    with lease.keep_alive():
        clock.sleep(60)
        take(store, "r2", clock)
        (heartbeat,) = (thread for thread in threading.enumerate() if thread.name == "eventpipe-lease")
        heartbeat.join(5)
        assert not heartbeat.is_alive()


def test_a_process_is_gone_only_when_that_is_certain() -> None:
    me = this_process()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    boot, namespace, tick = me.birth.split("/")
    dead = replace(me, pid=ended.pid)
    assert not me.is_gone(me)
    assert dead.is_gone(me)
    assert replace(me, birth=f"{boot}/{namespace}/{int(tick) - 1}").is_gone(me), "the id was given to another"
    assert not replace(dead, host="elsewhere").is_gone(me)
    assert not replace(dead, birth=f"{boot}/pid:[1]/{tick}").is_gone(me), "another container, same host name"
    assert not replace(dead, birth=f"another/{namespace}/{tick}").is_gone(me), "another machine, same host name"


PRELUDE = """
import os, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from eventpipe.ops.lease import Fenced, acquire
from eventpipe.ops.store import OpsStore
store = OpsStore.open(sys.argv[1])
def now(): return datetime.now(UTC)
"""


def process(path: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


HOLD = """
lease = acquire(store, sys.argv[2], now=now, wait=timedelta(0), ttl=timedelta(seconds=float(sys.argv[3])))
with lease.keep_alive():
    print(lease.epoch, flush=True)
    sys.stdin.readline()
    try:
        with lease.begin():
            print("committed", flush=True)
    except Fenced:
        print("fenced", flush=True)
"""


@pytest.mark.parametrize("collected", [True, False])
def test_the_lease_of_a_killed_process_is_taken_over_at_once(path: Path, store: OpsStore, collected: bool) -> None:
    with process(path, HOLD, "killed", "3600") as holder:
        assert said(holder) == "1"
        with pytest.raises(LeaseHeld):
            acquire(store, "next", now=wall_clock, wait=AT_ONCE)
        holder.kill()
        if collected:
            holder.wait()
        else:  # a zombie, as under a parent that does not wait for its children
            os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert acquire(store, "next", now=wall_clock, wait=AT_ONCE).epoch == 2


def test_a_stopped_process_that_wakes_up_again_is_fenced(path: Path, store: OpsStore) -> None:
    with process(path, HOLD, "stopped", "0.5") as holder:
        assert said(holder) == "1"
        holder.send_signal(signal.SIGSTOP)
        lease = acquire(store, "next", now=wall_clock, wait=10 * SECOND)
        assert lease.epoch == 2
        holder.send_signal(signal.SIGCONT)
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert said(holder) == "fenced"
    write(lease, "next")


RACE = """
done = Path(sys.argv[2])
inside = done.with_name("inside")
sys.stdin.readline()
for _ in range(8):
    day = timedelta(days=1)
    lease = acquire(store, f"p{os.getpid()}", now=now, wait=day, ttl=day, sleep=lambda _: time.sleep(0.01))
    inside.touch(exist_ok=False)
    with lease.begin():
        with done.open("a") as file:
            file.write(f"{lease.epoch}\\n")
    inside.unlink()
    lease.release()
"""


def test_racing_processes_hold_it_one_after_the_other(path: Path, store: OpsStore, tmp_path: Path) -> None:
    done = tmp_path / "done"
    racers = [process(path, RACE, str(done)) for _ in range(3)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
    assert [racer.returncode for racer in racers] == [0] * 3
    assert [int(epoch) for epoch in done.read_text().split()] == list(range(1, 25))
    assert leases.current(store).epoch == 24
