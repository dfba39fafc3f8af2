"""Sensors: a run when exports have landed, one when a waiting candidate is due, a delivery when triggers are.

Here: when such a run is asked for, and when again. Not here: what is new (`eventpipe.intake.arrivals`).

What is asked for is read from the lake and the ops store on every tick. Nothing depends on the cursor, which only
says where the next look at very many exports goes on, nor on what a tick did before. A run key is used up by its run,
also when that failed: so keys count attempts, and attempts are counted in Dagster's table of runs, where a launch
that came to nothing is none. A tick asks for a run and does nothing else.

Each tick reads the project anew, as each run does: a source or an automation that somebody adds or takes out while the
daemon is up is seen at once. A tick on files that are refused fails, and shows why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any, Final

import dagster as dg

from eventpipe.defs.jobs import DELIVER, JOB
from eventpipe.defs.resources import run_config
from eventpipe.delivery.deliver import destinations
from eventpipe.intake.arrivals import Place, look
from eventpipe.ops import automations, deliveries
from eventpipe.ops.lease import DELIVERY, WRITER, Tenure, current
from eventpipe.ops.place import is_made
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe.refresh import LEASE_WAIT
from eventpipe.wording import several

NEW_EXPORTS: Final = "new_exports"
ASKED_BY: Final = "eventpipe/asked_by"
STATE: Final = "eventpipe/state"
DUE_CANDIDATES: Final = "due_candidates"
UNDELIVERED: Final = "undelivered_triggers"
ATTEMPT: Final = "eventpipe/attempt"
EVERY: Final = 30
"""Seconds between two ticks."""

_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_ON_ITS_WAY: Final = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_DONE: Final = dg.DagsterRunStatus.SUCCESS
_FAILED: Final = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Try:
    """A run that the sensor asked for: for which state of the exports, and how often it had asked for that."""

    state: str
    attempt: int
    status: dg.DagsterRunStatus
    asked_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Wait:
    """No run now, and why."""

    reason: str


def next_attempt(
    state: str, tries: Sequence[Try], tenure: Tenure | None, now: datetime, *, recurs: bool = False
) -> int | Wait:
    """The number of the attempt to make now for this state of the exports, or why to wait.

    `tries` are the last ones, newest first. While somebody writes to the project, or is about to, no run is asked for:
    what landed meanwhile is found after it. With each failure the pause doubles, from a minute to an hour; so it does with
    each run that ended well and left the state as it was, unless the state `recurs`.
    """
    if tenure is not None and tenure.holder is not None and tenure.expires_at is not None and tenure.expires_at > now:
        return Wait(f"Run {tenure.holder} is writing to this project.")
    if tries:
        newest = tries[0]
        # A run gets the lease in this time or gives up; one that is said to go on without it was killed.
        is_expected = newest.status in _ON_ITS_WAY and now - newest.asked_at < 2 * LEASE_WAIT
        if newest.status is dg.DagsterRunStatus.QUEUED or is_expected:
            return Wait("The run that was asked for last has not ended.")
        failures = _leading(tries, lambda each: each.status in _FAILED)
        idle = 0 if recurs else _leading(tries, lambda each: each.status is _DONE and each.state == state)
        if count := failures or idle:
            until = (newest.ended_at or newest.asked_at) + min(_FIRST_PAUSE * 2 ** (count - 1), _LONGEST_PAUSE)
            if now < until:
                what = "failed" if failures else "left it as it was"
                return Wait(f"Runs in a row that {what}: {count}; trying again at {until:%H:%M:%S} UTC.")
    same = [each for each in tries if each.state == state]
    if not same:
        return 1
    # Dagster launches a run that it has made and never launched, when it is asked for it under the same key.
    is_unlaunched = same[0].status is dg.DagsterRunStatus.NOT_STARTED
    return same[0].attempt if is_unlaunched else same[0].attempt + 1


def new_exports_sensor(read: Callable[[], Project], clock: Callable[[], datetime]) -> dg.SensorDefinition:
    """Asks for `refresh` when an export has settled that the lake does not hold. Off until somebody turns it on."""

    @dg.sensor(
        name=NEW_EXPORTS,
        job_name=JOB,
        minimum_interval_seconds=EVERY,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs `refresh` when exports are new or changed and have been quiet for `settle`, or have a .done "
        "marker. A run that failed is asked for again, after a pause that grows to an hour.",
    )
    def new_exports(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, project = clock(), read()
        found = look(project, now, start=_place(context.cursor))
        cursor = json.dumps([found.resume[0], found.resume[1].isoformat()]) if found.resume else ""
        if not found.new:
            reason = f"No new export, {found.settling} still settling."
            return dg.SensorResult(skip_reason=reason, cursor=cursor)
        attempt = next_attempt(found.state, _tries(context.instance, NEW_EXPORTS), _tenure(project), now)
        if isinstance(attempt, Wait):
            return dg.SensorResult(skip_reason=f"{several(found.new, 'new export')}. {attempt.reason}", cursor=cursor)
        request = _request(NEW_EXPORTS, found.state, attempt, run_config(only_settled=True))
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_exports


def due_candidates_sensor(read: Callable[[], Project], clock: Callable[[], datetime]) -> dg.SensorDefinition:
    """Asks for `refresh` when the wait of a candidate is over, also where nothing lands. Off until somebody turns it on."""

    @dg.sensor(
        name=DUE_CANDIDATES,
        job_name=JOB,
        minimum_interval_seconds=EVERY,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs `refresh` when a candidate of an automation has waited long enough to be judged.",
    )
    def due_candidates(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, project = clock(), read()
        due = sorted(f"{name} {at.isoformat()}" for name, at in _due_since(project, now).items())
        if not due:
            return dg.SensorResult(skip_reason="No candidate is due.")
        state = hashlib.sha256("\n".join(due).encode()).hexdigest()[:16]
        attempt = next_attempt(state, _tries(context.instance, DUE_CANDIDATES), _tenure(project), now)
        if isinstance(attempt, Wait):
            return dg.SensorResult(skip_reason=f"Candidates of {len(due)} automations are due. {attempt.reason}")
        return dg.SensorResult(run_requests=[_request(DUE_CANDIDATES, state, attempt, run_config(only_settled=True))])

    return due_candidates


def undelivered_triggers_sensor(read: Callable[[], Project], clock: Callable[[], datetime]) -> dg.SensorDefinition:
    """Asks for `deliver` when triggers are due. Off until somebody turns it on."""

    @dg.sensor(
        name=UNDELIVERED,
        job_name=DELIVER,
        minimum_interval_seconds=EVERY,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs `deliver` when triggers are to be sent, for the first time or again. It sends nothing itself.",
    )
    def undelivered_triggers(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now, project = clock(), read()
        due = _due(project, now)
        if not due:
            return dg.SensorResult(skip_reason="No trigger is due.")
        # One state: what is due is never the same again, but a run that failed sent nothing of it.
        tries, tenure = _tries(context.instance, UNDELIVERED), _tenure(project, DELIVERY)
        attempt = next_attempt(UNDELIVERED, tries, tenure, now, recurs=True)
        if isinstance(attempt, Wait):
            return dg.SensorResult(skip_reason=f"Due: {several(due, 'trigger')}. {attempt.reason}")
        return dg.SensorResult(run_requests=[_request(UNDELIVERED, UNDELIVERED, attempt, {})])

    return undelivered_triggers


def _request(sensor: str, state: str, attempt: int, config: dict[str, Any]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{state}:{attempt}",
        run_config=config,
        tags={ASKED_BY: sensor, STATE: state, ATTEMPT: str(attempt)},
    )


def _due_since(project: Project, now: datetime) -> dict[str, datetime]:
    if not is_made(project.ops):  # a tick makes no ops store
        return {}
    with OpsStore.open(project.ops) as store:
        return automations.next_due(store, now)


def _due(project: Project, now: datetime) -> int:
    if not is_made(project.ops):
        return 0
    with OpsStore.open(project.ops) as store:
        return deliveries.backlog(store, now, destinations(project)).due


def _leading(tries: Sequence[Try], is_one: Callable[[Try], bool]) -> int:
    """How many of the newest are of a kind."""
    return len([*takewhile(is_one, tries)])


def _tries(instance: dg.DagsterInstance, sensor: str) -> list[Try]:
    records = instance.get_run_records(dg.RunsFilter(tags={ASKED_BY: sensor}), limit=10)
    return [
        Try(
            record.dagster_run.tags[STATE],
            int(record.dagster_run.tags[ATTEMPT]),
            record.dagster_run.status,
            record.create_timestamp.replace(tzinfo=UTC),
            None if record.end_time is None else datetime.fromtimestamp(record.end_time, UTC),
        )
        for record in records
    ]


def _tenure(project: Project, name: str = WRITER) -> Tenure | None:
    """Who holds the lease; None before the first run, for a tick makes no ops store."""
    if not is_made(project.ops):
        return None
    with OpsStore.open(project.ops) as store:
        return current(store, name)


def _place(cursor: str | None) -> Place | None:
    """Where the last look stopped; the beginning when that is not known."""
    try:
        source, day = json.loads(cursor or "")
        return (str(source), date.fromisoformat(day))
    except (ValueError, TypeError):
        return None
