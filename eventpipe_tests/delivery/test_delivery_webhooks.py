"""Delivery to a real receiver: what is sent, what counts as success, when it is tried again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventpipe.delivery import webhooks
from eventpipe.delivery.deliver import Delivered, deliver
from eventpipe.delivery.retries import ATTEMPTS, PAUSES, next_attempt, rest, retry_after
from eventpipe.errors import LeaseHeld
from eventpipe.ops import deliveries as ops
from eventpipe.ops.lease import Fenced
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe_tests.delivery.fired import fire, project
from eventpipe_tests.delivery.receiver import OTHER_SECRET, SECRET, Receiver, payload, receiving

PATHS = ("/ok", "/other", "/slow", "/huge", "/broken", "/reset", "/moved_to")


class Desk:
    """A project that delivers to the receiver, one automation for each path, and a clock that stands still."""

    def __init__(self, folder: Path, receiver: Receiver, paths: tuple[str, ...] = PATHS, **targets: object) -> None:
        self.receiver = receiver
        webhooks = {
            path.strip("/"): {"webhook": receiver.url(path), "secret": [SECRET, OTHER_SECRET]} for path in paths
        }
        self.project: Project = project(folder, {**webhooks, **targets}, deliver={"allow_hosts": [receiver.host]})
        self.store = OpsStore.open(self.project.ops)
        self.now = datetime.now(UTC)

    def fire(self, automation: str, *contacts: str) -> list[str]:
        return fire(self.store, automation, contacts)

    def deliver(self) -> Delivered:
        return deliver(self.project, self.store, lambda: self.now, chance=random.Random(1))

    def state(self, trigger_id: str) -> tuple[str, int, str | None]:
        row, _ = ops.shown(self.store, trigger_id)
        return row["status"], row["attempts"], row["last_error"]

    def backlog(self) -> ops.Backlog:
        return ops.backlog(self.store, self.now, self.project.automations.by_name)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, receiver: Receiver) -> Iterator[Desk]:
    made = Desk(tmp_path, receiver)
    yield made
    made.store.close()


def test_a_trigger_is_signed_with_every_secret_and_carries_its_payload(desk: Desk) -> None:
    (trigger_id,) = desk.fire("ok", "c1")
    assert desk.deliver().delivered == 1
    (got,) = desk.receiver.got
    assert got.verified(SECRET) == got.verified(OTHER_SECRET) == json.loads(got.body)
    assert got.id == json.loads(got.body)["id"] == trigger_id
    assert payload(got) == {"value": 0.5}
    assert b'"value":0.50' in got.body  # as it was written
    assert desk.state(trigger_id) == ("delivered", 1, None)
    assert desk.deliver().delivered == 0


def test_a_failure_is_tried_again_later_under_the_same_id_with_a_new_time(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [500, 500, 200]
    (trigger_id,) = desk.fire("ok", "c1")
    for pause in PAUSES[:2]:
        assert desk.deliver().failed == 1
        desk.now += pause * 0.85
        assert desk.deliver() == Delivered()  # too early, however the jitter fell
        desk.now += pause * 0.3
    assert desk.deliver().delivered == 1
    assert desk.receiver.ids() == [trigger_id] * 3
    assert len({each.body for each in desk.receiver.got}) == 1
    assert len({each.headers["webhook-timestamp"] for each in desk.receiver.got}) == 3
    assert desk.state(trigger_id) == ("delivered", 3, None)


def test_after_ten_attempts_a_trigger_is_dead_listed_and_replayable(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [500]
    (trigger_id,) = desk.fire("ok", "c1")
    began = desk.now
    while desk.deliver().failed and desk.backlog().pending:
        row, _ = ops.shown(desk.store, trigger_id)
        desk.now = max(row["next_attempt_at"], row["paused_until"] or desk.now)
    assert desk.state(trigger_id) == ("dead", ATTEMPTS, "answered 500")
    assert timedelta(hours=60) < desk.now - began < timedelta(hours=95)
    assert [row["trigger_id"] for row in ops.listed(desk.store, status="dead", limit=9)] == [trigger_id]
    desk.receiver.answers["/ok"] = [200]
    with_lease(desk, trigger_id)
    assert desk.deliver().delivered == 1
    assert desk.receiver.ids() == [trigger_id] * (ATTEMPTS + 1)
    _, tried = ops.shown(desk.store, trigger_id)
    assert [each["attempt"] for each in tried] == list(range(1, ATTEMPTS + 2))


def with_lease(desk: Desk, trigger_id: str) -> None:
    from eventpipe.delivery.deliver import delivering

    with delivering(desk.store, lambda: desk.now) as lease, lease.begin() as connection:
        ops.replay(connection, lease, trigger_id, now=desk.now)


def test_retry_after_is_honoured_by_the_whole_target(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [429, 200]
    first, *_ = desk.fire("ok", *(f"c{n}" for n in range(40)))
    desk.deliver()
    asked = len(desk.receiver.got)
    assert asked <= 16  # those on their way; the rest was not even tried
    desk.now += timedelta(seconds=6.9)
    desk.deliver()
    assert len(desk.receiver.got) == asked
    desk.now += timedelta(seconds=0.2)
    desk.deliver()
    assert desk.backlog().pending == 0
    assert desk.state(first)[0] == "delivered"


def test_an_answer_is_its_status_whatever_becomes_of_its_body(desk: Desk) -> None:
    """What has said that it took a trigger is not sent it again."""
    (trigger_id,) = desk.fire("broken", "c1")
    desk.deliver()
    assert desk.state(trigger_id) == ("delivered", 1, None)


def test_a_redirect_is_a_failure_and_is_not_followed(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [301]
    (trigger_id,) = desk.fire("ok", "c1")
    desk.deliver()
    assert desk.state(trigger_id) == ("pending", 1, "answered 301")
    assert not desk.receiver.ids("/moved")


def test_410_disables_the_endpoint_and_no_other(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [410]
    gone = desk.fire("ok", "c1", "c2")
    desk.fire("other", "c1")
    desk.deliver()
    asked = len(desk.receiver.ids("/ok"))
    desk.now += timedelta(days=9)
    desk.fire("other", "c2")
    desk.deliver()
    assert len(desk.receiver.ids("/ok")) == asked
    assert len(desk.receiver.ids("/other")) == 2
    assert desk.backlog().due == 0
    assert [each.title for each in ops.troubled(desk.store)] == [f"http://{desk.receiver.host}"]
    desk.receiver.answers["/ok"] = [200]
    with_lease(desk, gone[0])
    desk.deliver()
    assert desk.backlog().pending == 0


def test_a_slow_target_costs_its_own_time_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.3)
    (slow,) = desk.fire("slow", "c1")
    desk.fire("ok", *(f"c{n}" for n in range(20)))
    began = time.monotonic()
    desk.deliver()
    assert desk.state(slow)[0] == "pending"
    assert "no answer within" in str(desk.state(slow)[2])
    quick = [each.at for each in desk.receiver.got if each.path == "/ok"]
    assert len(quick) == 20
    assert max(quick) - began < 5


def test_a_reset_connection_is_a_failure_and_a_huge_answer_is_cut(desk: Desk) -> None:
    (reset,) = desk.fire("reset", "c1")
    (huge,) = desk.fire("huge", "c1")
    desk.deliver()
    assert desk.state(reset)[:2] == ("pending", 1)
    assert desk.state(huge) == ("delivered", 1, None)


def test_what_a_contact_triggered_is_sent_in_its_order_one_at_a_time(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [500, 200]
    mine = desk.fire("ok", "c1", "c1", "c1")
    (yours,) = desk.fire("ok", "c2")
    desk.deliver()
    assert len({mine[0], yours} & set(desk.receiver.ids())) == 2
    assert not {mine[1], mine[2]} & set(desk.receiver.ids()[:2])
    desk.now += timedelta(seconds=6)
    desk.deliver()
    assert [each for each in desk.receiver.ids() if each in mine][-3:] == mine


def test_in_flight_are_no_more_than_set(desk: Desk) -> None:
    desk.fire("slow", *(f"c{n}" for n in range(30)))
    desk.deliver()
    assert 8 <= desk.receiver.most_at_once <= 16 < len(desk.receiver.got)


def test_a_target_in_trouble_is_left_alone_for_a_while(desk: Desk) -> None:
    desk.receiver.answers["/ok"] = [500]
    desk.fire("ok", *(f"c{n}" for n in range(200)))
    desk.deliver()
    assert len(desk.receiver.got) < 40
    assert desk.deliver() == Delivered()
    (state,) = ops.troubled(desk.store)
    assert state.paused_until is not None


def test_two_processes_do_not_deliver_at_once(desk: Desk) -> None:
    from eventpipe.delivery.deliver import delivering

    with delivering(desk.store, lambda: datetime.now(UTC)), pytest.raises(LeaseHeld, match="delivering triggers"):
        desk.deliver()


def test_a_trigger_waits_while_its_automation_has_no_target(tmp_path: Path, receiver: Receiver) -> None:
    desk = Desk(tmp_path, receiver)
    fire(desk.store, "gone", ["c1"])
    assert desk.deliver() == Delivered()
    assert desk.backlog().due == 0
    again = Desk.__new__(Desk)
    again.__dict__.update(desk.__dict__)
    again.project = Desk(tmp_path / "b", receiver, ("/gone",)).project
    assert again.deliver().delivered == 1
    desk.store.close()


def test_a_file_target_gets_whole_files_of_lines(tmp_path: Path, receiver: Receiver) -> None:
    desk = Desk(tmp_path, receiver, (), file={"file": "outbox/"})
    ids = desk.fire("file", "c1", "c2", "c1")
    done = desk.deliver()
    assert (done.delivered, done.failed) == (3, 0)
    files = sorted((desk.project.root / "outbox").iterdir())
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(ids)
    assert all(path.suffix == ".jsonl" for path in files)
    desk.store.close()


def test_a_file_target_that_cannot_be_written_is_tried_again(tmp_path: Path, receiver: Receiver) -> None:
    desk = Desk(tmp_path, receiver, (), file={"file": "blocked"})
    (trigger_id,) = desk.fire("file", "c1")
    (desk.project.root / "blocked").write_text("a file, not a folder")
    desk.deliver()
    status, attempts, error = desk.state(trigger_id)
    assert (status, attempts) == ("pending", 1)
    assert "cannot be written" in str(error)
    (desk.project.root / "blocked").unlink()
    desk.now += timedelta(seconds=6)
    assert desk.deliver().delivered == 1
    desk.store.close()


def test_the_schedule_is_ten_attempts_in_about_75_hours() -> None:
    assert len(PAUSES) + 1 == ATTEMPTS == 10
    assert timedelta(hours=75) < sum(PAUSES, timedelta()) < timedelta(hours=76)
    now, chance = datetime(2026, 1, 1, tzinfo=UTC), random.Random(3)
    pauses = [next_attempt(1, now, None, chance) for _ in range(50)]
    assert len(set(pauses)) > 40
    assert all(each is not None and PAUSES[0] * 0.9 <= each - now <= PAUSES[0] * 1.1 for each in pauses)
    assert next_attempt(ATTEMPTS, now, timedelta(seconds=1), chance) is None


@pytest.mark.parametrize(
    ("written", "wish"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta()),
        ("Thu, 01 Jan 2026 00:01:00 GMT", timedelta(minutes=1)),
        ("Wed, 31 Dec 2025 00:00:00 GMT", timedelta()),
        ("99999999999999999999", timedelta(hours=24)),
        ("soon", None),
        ("-3", None),
        ("", None),
        (None, None),
        ("٧", None),  # noqa: RUF001
    ],
)
def test_retry_after_is_seconds_or_a_date(written: str | None, wish: timedelta | None) -> None:
    assert retry_after(written, datetime(2026, 1, 1, tzinfo=UTC)) == wish


def test_a_target_rests_a_minute_doubling_to_an_hour() -> None:
    assert [rest(n, None) for n in (1, 4, 5, 6, 7, 40)] == [
        None,
        None,
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(minutes=4),
        timedelta(hours=1),
    ]


@pytest.mark.parametrize("attempts", [1, 2, 9])
def test_what_a_target_asks_for_makes_a_pause_longer_and_never_shorter(attempts: int) -> None:
    """Else a target that always asks for no time would have used up ten attempts within minutes."""
    now, pause = datetime(2026, 1, 1, tzinfo=UTC), PAUSES[attempts - 1]
    for wish in (timedelta(), pause / 2, pause * 2):
        again = next_attempt(attempts, now, wish, random.Random(3))
        assert again is not None
        assert max(wish, pause * 0.9) <= again - now <= max(wish, pause * 1.1)
    assert [rest(n, timedelta()) for n in (1, 5)] == [timedelta(), timedelta(minutes=1)]
    assert [rest(n, timedelta(hours=3)) for n in (1, 5, 40)] == [timedelta(hours=3)] * 3


def test_an_orphan_that_wakes_up_cannot_record(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has lost the lease: what it sent is sent again by who has it now, under the same id."""
    (trigger_id,) = desk.fire("ok", "c1")

    def taken(_lease: object, _connection: object) -> None:
        raise Fenced("another one delivers")

    with monkeypatch.context() as patched:
        patched.setattr(ops, "record", lambda connection, lease, *_: taken(lease, connection))
        with pytest.raises(Fenced):
            desk.deliver()
    assert desk.state(trigger_id)[0] == "pending"
    assert desk.deliver().delivered == 1
    assert desk.receiver.ids() == [trigger_id] * 2
