"""When deliveries and judgements are asked for: by the state of the ops store, whatever became of earlier ticks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from eventpipe.defs.deliveries import ALL_ANSWER, NONE_DEAD, deliveries_asset
from eventpipe.defs.jobs import DELIVER, JOB
from eventpipe.defs.sensors import (
    ASKED_BY,
    DUE_CANDIDATES,
    UNDELIVERED,
    due_candidates_sensor,
    undelivered_triggers_sensor,
)
from eventpipe.delivery.deliver import delivering
from eventpipe.ops.place import is_made
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe_tests.automations.world import World, at
from eventpipe_tests.builders import project as arranged
from eventpipe_tests.delivery.fired import fire, project

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
Status = dg.DagsterRunStatus
Sensor = Callable[[Callable[[], Project], Callable[[], datetime]], dg.SensorDefinition]


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return project(tmp_path, {"cart": {"file": "outbox"}})


def fired(shop: Project, *contacts: str) -> list[str]:
    with OpsStore.open(shop.ops) as store:
        return fire(store, "cart", contacts)


def tick(
    shop: Project,
    instance: dg.DagsterInstance | None = None,
    *,
    sensor: Sensor = undelivered_triggers_sensor,
    now: datetime = NOW,
    cursor: str | None = None,
) -> dg.SensorResult:
    made = sensor(lambda: shop, lambda: now)
    with ExitStack() as stack:
        used = instance or stack.enter_context(dg.DagsterInstance.ephemeral())
        result = made(stack.enter_context(dg.build_sensor_context(instance=used, cursor=cursor)))
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> dg.RunRequest:
    [request] = result.run_requests or []
    return request


def waiting(result: dg.SensorResult) -> str:
    assert not result.run_requests
    return str(result.skip_reason)


def add_run(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    job = {UNDELIVERED: DELIVER, DUE_CANDIDATES: JOB}[tags[ASKED_BY]]
    return instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=status, tags=tags))


def deliver(shop: Project, *, now: datetime = NOW) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([deliveries_asset(shop, lambda: now)], instance=instance)


def test_a_tick_without_an_ops_store_asks_for_nothing_and_makes_none(tmp_path: Path) -> None:
    made = arranged(tmp_path)
    assert "No trigger is due" in waiting(tick(made))
    assert "No candidate is due" in waiting(tick(made, sensor=due_candidates_sensor))
    assert not is_made(made.ops)


def test_undelivered_triggers_ask_for_a_run_until_they_are_delivered(shop: Project) -> None:
    fired(shop, "c1", "c2")
    assert requested(tick(shop)).run_key == requested(tick(shop, cursor="nonsense")).run_key
    assert deliver(shop).success
    assert "No trigger is due" in waiting(tick(shop))


@dataclass(frozen=True)
class Asking:
    """A project about which a sensor has something to ask for, for as long as no run does it."""

    shop: Project
    sensor: Sensor

    def tick(self, instance: dg.DagsterInstance, now: datetime = NOW, cursor: str | None = None) -> dg.SensorResult:
        return tick(self.shop, instance, sensor=self.sensor, now=now, cursor=cursor)


@pytest.fixture(params=[undelivered_triggers_sensor, due_candidates_sensor])
def asking(request: pytest.FixtureRequest, tmp_path: Path) -> Asking:
    if request.param is undelivered_triggers_sensor:
        shop = project(tmp_path, {"cart": {"file": "outbox"}})
        fired(shop, "c1")
        return Asking(shop, request.param)
    return Asking(waiting_shop(tmp_path), request.param)


def test_a_failing_launch_a_failed_run_and_pruned_history_lose_nothing(asking: Asking) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = requested(asking.tick(instance))
        assert requested(asking.tick(instance)).run_key == first.run_key  # launching failed before there was a run
        unlaunched = add_run(instance, first, Status.NOT_STARTED)
        assert requested(asking.tick(instance)).run_key == first.run_key  # ... and after it was made
        instance.report_run_failed(unlaunched)
        failed_at = datetime.now(UTC)
        assert "trying again" in waiting(asking.tick(instance, failed_at))
        later = failed_at + timedelta(minutes=2)
        again = requested(asking.tick(instance, later))
        assert again.run_key != first.run_key
        add_run(instance, again, Status.SUCCESS)  # it said so, but what it was asked for is still to be done
        third = requested(asking.tick(instance, later))
        assert third.run_key not in (first.run_key, again.run_key)
        instance.delete_run(unlaunched.run_id)
        assert requested(asking.tick(instance, later)).run_key == third.run_key  # never one that is used up
        for run in instance.get_runs():
            instance.delete_run(run.run_id)
        assert requested(asking.tick(instance, later))


def test_no_cursor_is_needed(asking: Asking) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keys = {requested(asking.tick(instance, cursor=each)).run_key for each in (None, "", "nonsense", "[1]")}
        assert len(keys) == 1


def test_a_run_that_was_killed_is_not_waited_for_for_ever(asking: Asking) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        add_run(instance, requested(asking.tick(instance)), Status.STARTED)
        asked_at = datetime.now(UTC)
        assert "has not ended" in waiting(asking.tick(instance, asked_at))
        assert requested(asking.tick(instance, asked_at + timedelta(hours=1)))


def test_no_run_is_asked_for_while_somebody_delivers(shop: Project) -> None:
    fired(shop, "c1")
    with OpsStore.open(shop.ops) as store, delivering(store, lambda: NOW):
        assert waiting(tick(shop))
    assert requested(tick(shop))


def test_a_failed_delivery_shows_beside_the_asset(shop: Project) -> None:
    fired(shop, "c1")
    (shop.root / "outbox").write_text("in the way")
    result = deliver(shop)
    assert result.success
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert not checks[ALL_ANSWER].passed
    assert "file outbox (cart): 1 failures in a row" in str(checks[ALL_ANSWER].metadata["message"].value)
    assert checks[NONE_DEAD].passed
    (made,) = result.asset_materializations_for_node("deliveries")
    assert (made.metadata["delivered"].value, made.metadata["failed"].value, made.metadata["pending"].value) == (
        0,
        1,
        1,
    )
    (shop.root / "outbox").unlink()
    result = deliver(shop, now=NOW + timedelta(minutes=1))
    assert all(each.passed for each in result.get_asset_check_evaluations())


def test_a_candidate_whose_wait_is_over_asks_for_a_run(tmp_path: Path) -> None:
    shop = waiting_shop(tmp_path)
    assert "No candidate is due" in waiting(tick(shop, sensor=due_candidates_sensor, now=at(1.9)))
    request = requested(tick(shop, sensor=due_candidates_sensor, now=at(2)))
    assert request.run_key


def waiting_shop(folder: Path) -> Project:
    """A shop with one candidate, which is due two hours after midnight of the first day."""
    cart = {"name": "cart", "trigger": {"event": "checkout"}, "wait": "1h"}
    shop = arranged(folder, automations=[cart])
    world = World(folder, [cart])
    world.run(0)
    world.put("checkout", "c1", 1)
    world.run(1)
    world.store.close()
    return shop
