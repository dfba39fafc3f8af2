"""Alerts: a real receiver is told of runs that failed or were held; one that is down breaks nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from eventpipe.defs.alerts import failure_alert, message
from eventpipe.errors import AuditHeld, ConfigurationError, EventpipeError, Problem, StageFailed
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe_tests.delivery.receiver import SECRET, Receiver, receiving
from eventpipe_tests.orchestration.shop import CANARIES, Shop, refresh
from eventpipe_tests.orchestration.test_failures import failing, last_run

FULL = "The lake is full. Make room and run again."
HELD = "The audit held the publish back. unique_events_event_id: 2 rows."


@dataclass(frozen=True)
class Troubled:
    """A shop whose last two runs failed and were held, and what the daemon knew of it before them."""

    shop: Shop
    cursor: str | None
    failed: str
    held: str

    def tick(self, address: str, secret: str | None = None) -> Tick:
        return Tick(self.shop, address, secret, self.cursor)


class Tick:
    """A tick of the sensor, as the daemon makes it. `errors`: what went wrong with each run that there was to be told of."""

    def __init__(
        self,
        shop: Shop,
        address: str,
        secret: str | None,
        cursor: str | None,
        read: Callable[[], Project] | None = None,
    ) -> None:
        alerts = shop.project.settings.alerts.model_copy(update={"webhook": address, "secret": secret})
        settings = shop.project.settings.model_copy(update={"alerts": alerts})
        self.pauses: list[float] = []
        told = replace(shop.project, settings=settings)
        sensor = failure_alert(told, read or (lambda: told), lambda: datetime.now(UTC), self.pauses.append)
        definitions = dg.Definitions(sensors=[sensor])
        with (
            shop.instance() as instance,
            dg.build_sensor_context(instance=instance, cursor=cursor, definitions=definitions) as context,
        ):
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        self.errors = [each.error and each.error.message for each in data.dagster_run_reactions or ()]


@pytest.fixture(scope="module")
def troubled(shop: Shop) -> Troubled:
    first = Tick(shop, "http://127.0.0.1:9/", None, None)
    assert first.errors == [], "what happened before there was an address is not told"
    ids = []
    errors: list[tuple[str, EventpipeError]] = [("land", StageFailed(FULL)), ("audit", AuditHeld(HELD))]
    for stage, error in errors:
        with pytest.MonkeyPatch.context() as patch:
            failing(stage, error, patch)
            with pytest.raises(type(error)):
                refresh(shop.project)
        ids.append(last_run(shop)[0].run_id)
    return Troubled(shop, first.cursor, ids[0], ids[1])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def test_a_failed_run_and_a_held_one_are_told(troubled: Troubled, receiver: Receiver) -> None:
    tick = troubled.tick(receiver.url())
    assert tick.errors == [None, None]
    failed, held = (json.loads(each.body)["text"] for each in receiver.got)
    assert failed.startswith(
        f"eventpipe: run {troubled.failed} of refresh on {troubled.shop.project.root.name} failed. {FULL}"
    )
    assert f"run {troubled.held} of refresh" in held
    assert f"was held back by its audit. {HELD}" in held
    for each in (failed, held):
        assert each.endswith("The tables that people read are those of the last good run.")
        assert not any(canary in each for canary in CANARIES)
    assert receiver.got[0].headers["content-type"] == "application/json"
    assert "webhook-signature" not in receiver.got[0].headers
    assert Tick(troubled.shop, receiver.url(), None, tick.cursor).errors == [], "once"


def test_files_that_are_refused_are_the_reason_of_runs_that_left_none(troubled: Troubled) -> None:
    """Such a run ends before there is a record of it."""
    told = message(troubled.shop.project, "none", "refresh", "eventpipe.yml:3: timezone: 'Mars' is no time zone")
    assert "eventpipe.yml:3: timezone" in told
    assert "left no word" not in told


def test_an_alert_is_sent_also_while_the_project_s_files_are_refused(troubled: Troubled, receiver: Receiver) -> None:
    def read() -> Project:
        raise ConfigurationError([Problem("eventpipe.yml", 3, "timezone", "'Mars' is no time zone")])

    assert Tick(troubled.shop, receiver.url(), None, troubled.cursor, read).errors == [None, None]
    assert len(receiver.got) == 2


def test_a_message_is_signed_where_there_is_a_secret(troubled: Troubled, receiver: Receiver) -> None:
    """The library's own verifier takes it; who gets it twice knows it by the run's id."""
    troubled.tick(receiver.url(), SECRET)
    assert [each.id for each in receiver.got] == [troubled.failed, troubled.held]
    assert all("eventpipe: run" in each.verified()["text"] for each in receiver.got)


def test_a_receiver_that_stumbles_is_asked_again(troubled: Troubled, receiver: Receiver) -> None:
    receiver.answers["/ok"] = [500, 503, 200]
    tick = troubled.tick(receiver.url())
    assert (tick.errors, tick.pauses) == ([None, None], [1, 1])
    assert [each.id for each in receiver.got] == [*[troubled.failed] * 3, troubled.held]


@pytest.mark.parametrize("trouble", ["down", "refusing", "moved"])
def test_a_receiver_in_trouble_breaks_nothing(troubled: Troubled, receiver: Receiver, trouble: str) -> None:
    """The tick says what went wrong, runs are as they were, and the daemon goes on."""
    receiver.answers["/ok"] = [301 if trouble == "moved" else 404]
    tick = troubled.tick("http://127.0.0.1:9/" if trouble == "down" else receiver.url())
    assert len(tick.errors) == 2
    assert all(tick.errors)
    assert tick.pauses == [1, 1, 1, 1]
    assert "/moved" not in [each.path for each in receiver.got], "a message does not get lost on the way"
    with OpsStore.open(troubled.shop.project.ops) as store:
        states = {run.run_id: run.status for run in runs.recent(store, 10)}
    assert (states[troubled.failed], states[troubled.held]) == ("failed", "held")
    assert Tick(troubled.shop, receiver.url(), None, tick.cursor).errors == []
