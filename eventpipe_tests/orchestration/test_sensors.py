"""When exports that landed start a run, and when a failed one is started again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import dagster as dg
import pytest

from eventpipe.definitions import build_defs
from eventpipe.defs.jobs import JOB
from eventpipe.defs.sensors import ASKED_BY, ATTEMPT, NEW_EXPORTS, STATE, Try, Wait, new_exports_sensor, next_attempt
from eventpipe.intake.arrivals import look
from eventpipe.ops import lease as leases
from eventpipe.ops.place import is_made
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe_tests.builders import event, export, land, project, quiet_since

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
Status = dg.DagsterRunStatus


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return project(tmp_path)


def landed_export(shop: Project, *, seconds: float = 120, **what: Any) -> Path:
    """An export that has been quiet for so long."""
    path = export(shop, [event()], **what)
    quiet_since(path, seconds, now=NOW)
    return path


def tick(
    shop: Project,
    *,
    instance: dg.DagsterInstance | None = None,
    cursor: str | None = None,
    now: datetime = NOW,
) -> dg.SensorResult:
    sensor = new_exports_sensor(lambda: shop, lambda: now)
    with dg.build_sensor_context(instance=instance or dg.DagsterInstance.ephemeral(), cursor=cursor) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> dg.RunRequest:
    [request] = result.run_requests or []
    return request


def waiting(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert isinstance(result.skip_reason, dg.SkipReason | str)
    return str(result.skip_reason)


def test_nothing_new_asks_for_nothing(shop: Project) -> None:
    landed_export(shop)
    land(shop)
    assert "No new export" in waiting(tick(shop))
    assert not is_made(shop.ops), "a tick leaves no trace"


@pytest.mark.usefixtures("parsed")
def test_a_new_export_asks_for_a_run_on_settled_exports(shop: Project) -> None:
    landed_export(shop)
    request = requested(tick(shop))
    assert request.run_key == f"{look(shop, NOW).state}:1"
    assert request.tags[STATE] == look(shop, NOW).state
    job = build_defs(shop).resolve_job_def(JOB)
    validated = dg.validate_run_config(job, request.run_config)
    assert validated["resources"]["refresh"]["config"]["only_settled"] is True


def test_a_fresh_export_settles_first(shop: Project) -> None:
    path = landed_export(shop, seconds=10)
    assert "1 still settling" in waiting(tick(shop))
    path.with_name(f"{path.name}.done").touch()
    assert requested(tick(shop))


def test_the_same_exports_ask_for_the_same_run(shop: Project) -> None:
    landed_export(shop)
    assert requested(tick(shop)).run_key == requested(tick(shop)).run_key


def test_a_changed_export_asks_for_another_run(shop: Project) -> None:
    path = landed_export(shop)
    before = requested(tick(shop)).run_key
    path.write_bytes(path.read_bytes() * 2)
    quiet_since(path, 120, now=NOW)
    assert requested(tick(shop)).run_key != before


def test_a_cursor_that_was_lost_or_is_nonsense_changes_nothing(shop: Project) -> None:
    landed_export(shop)
    for cursor in (None, "", "nonsense", '["web"]', '{"web": 1}', '["web", "2026-13-01"]'):
        assert requested(tick(shop, cursor=cursor)).run_key == requested(tick(shop)).run_key


def test_a_refused_export_is_not_new_for_ever(shop: Project) -> None:
    path = export(shop, b"\x1f\x8b no gzip", name="broken.jsonl.gz")
    quiet_since(path, 120, now=NOW)
    land(shop)
    assert "No new export" in waiting(tick(shop))


def test_a_launch_that_came_to_nothing_is_asked_for_again(shop: Project) -> None:
    landed_export(shop)
    with dg.DagsterInstance.ephemeral() as instance:
        first = requested(tick(shop, instance=instance))
        # Launching failed before there was a run ...
        assert requested(tick(shop, instance=instance)).run_key == first.run_key
        # ... and after it was made: Dagster launches it when it is asked for the same again.
        add_run(instance, first, Status.NOT_STARTED)
        assert requested(tick(shop, instance=instance)).run_key == first.run_key


def test_a_failed_run_is_asked_for_again_after_a_pause(shop: Project) -> None:
    landed_export(shop)
    with dg.DagsterInstance.ephemeral() as instance:
        first = requested(tick(shop, instance=instance))
        instance.report_run_failed(add_run(instance, first, Status.STARTED))
        failed_at = datetime.now(UTC)  # Dagster's own clock
        assert "trying again" in waiting(tick(shop, instance=instance, now=failed_at))
        again = requested(tick(shop, instance=instance, now=failed_at + timedelta(minutes=2)))
    assert again.tags[STATE] == first.tags[STATE]
    assert (first.run_key, again.run_key) == (f"{first.tags[STATE]}:1", f"{first.tags[STATE]}:2")


def test_no_run_is_asked_for_while_one_is_under_way(shop: Project) -> None:
    landed_export(shop)
    with dg.DagsterInstance.ephemeral() as instance:
        add_run(instance, requested(tick(shop, instance=instance)), Status.STARTED)
        asked_at = datetime.now(UTC)
        assert "has not ended" in waiting(tick(shop, instance=instance, now=asked_at))
        # It neither holds the lease nor ended: killed, and nobody was there to tell.
        assert requested(tick(shop, instance=instance, now=asked_at + timedelta(hours=1)))


def test_no_run_is_asked_for_while_somebody_writes(shop: Project) -> None:
    landed_export(shop)
    with OpsStore.open(shop.ops) as store:
        lease = leases.acquire(store, "by-hand", now=lambda: NOW, wait=timedelta(0))
        assert "by-hand is writing" in waiting(tick(shop))
        lease.release()
    assert requested(tick(shop))


def test_very_many_exports_are_looked_at_in_turns(shop: Project) -> None:
    for day in (5, 6):
        landed_export(shop, day=NOW.date().replace(day=day))
    landed_export(shop, name="second.jsonl")
    first = look(shop, NOW, most=1)
    assert (first.new, first.resume) == (2, ("web", NOW.date()))
    rest = look(shop, NOW, start=first.resume, most=1)
    assert (rest.new, rest.resume) == (1, None)
    assert look(shop, NOW, start=("a source that is gone", NOW.date())).new == 3


def test_the_pause_doubles_up_to_an_hour() -> None:
    def pause(failures: int) -> timedelta:
        tries = [Try("s", failures - n, Status.FAILURE, NOW, NOW) for n in range(failures)]
        after = timedelta()
        while isinstance(next_attempt("s", tries, None, NOW + after), Wait):
            after += timedelta(seconds=30)
        return after

    assert [pause(failures) for failures in (1, 2, 3, 9)] == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 60)]


def test_a_run_that_changed_nothing_is_not_asked_for_again_at_once() -> None:
    """What is there and cannot land would have a run a minute."""
    done = [Try("s", 2 - n, Status.SUCCESS, NOW, NOW) for n in range(2)]
    assert isinstance(next_attempt("s", done, None, NOW + timedelta(minutes=1.9)), Wait)
    assert next_attempt("s", done, None, NOW + timedelta(minutes=2)) == 3
    assert next_attempt("s", done, None, NOW, recurs=True) == 3
    assert next_attempt("other", done, None, NOW) == 1


def test_a_tick_reads_the_project_anew(tmp_path: Path) -> None:
    """A source that was added while the daemon is up."""
    before = project(tmp_path)
    projects = [before]
    sensor = new_exports_sensor(lambda: projects[-1], lambda: NOW)
    landed_export(before, source="kiosk")
    with dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral()) as context:
        assert not cast(dg.SensorResult, sensor(context)).run_requests
        projects.append(project(tmp_path, sources={"web": "canonical", "kiosk": "canonical"}))
        requested(cast(dg.SensorResult, sensor(context)))


def test_other_exports_do_not_shorten_the_pause() -> None:
    assert isinstance(next_attempt("new", [Try("old", 1, Status.FAILURE, NOW, NOW)], None, NOW), Wait)


def test_after_a_run_that_ended_well_the_next_state_is_its_first_attempt() -> None:
    assert next_attempt("new", [Try("old", 3, Status.SUCCESS, NOW, NOW)], None, NOW) == 1


def add_run(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """The run that Dagster makes of a request."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    assert tags[ASKED_BY] == NEW_EXPORTS
    assert tags[ATTEMPT]
    return instance.add_run(dg.DagsterRun(job_name=JOB, run_id=str(uuid4()), status=status, tags=tags))
