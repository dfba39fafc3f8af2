"""Delivering what is due: each target by itself, so that one's trouble holds up no other.

The state is the ops store's: a process takes the delivery lease, sends what is due, and records what came of it in small
batches. Killed in between, it has sent a few triggers that the next process sends again, under the same ids. Of one
contact's triggers for a target one is on its way at a time, in the order in which they fired.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import anyio

from eventpipe.automations.grammar import FileTarget, Webhook
from eventpipe.delivery import outbox
from eventpipe.delivery.message import body, headers
from eventpipe.delivery.retries import next_attempt, rest
from eventpipe.delivery.targets import Endpoint, TargetRefused, endpoint
from eventpipe.delivery.webhooks import Answer, WebhookClient
from eventpipe.failpoints import reach
from eventpipe.ops import deliveries as ops
from eventpipe.ops import lease as leases
from eventpipe.ops import removals
from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project

Clock = Callable[[], datetime]

PAGE: Final = 256
"""Triggers of a target that are read at once: what a process holds in memory, however many wait."""

FILE_LINES: Final = 1_000
_BATCH: Final = 32
"""Attempts that are recorded at once, and so the most that a kill makes be sent again, beside those on their way."""

_BATCH_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 0.02


@dataclass
class Delivered:
    """What one process did."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    by_target: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, title: str, attempt: ops.Attempt) -> None:
        """One more attempt. What is dead failed too."""
        outcome = "delivered" if attempt.error is None else "failed"
        self.delivered += outcome == "delivered"
        self.failed += outcome == "failed"
        self.dead += attempt.status == "dead"
        target = self.by_target.setdefault(title, {"delivered": 0, "failed": 0})
        target[outcome] += 1


@dataclass(frozen=True)
class Destination:
    """Where an automation delivers to. Never shows more of a webhook's address than its host."""

    key: str
    title: str
    webhook: Webhook | None = None
    folder: Path | None = None


def destinations(project: Project) -> dict[str, Destination]:
    """The target of each automation that has one, by the automation's name."""
    found: dict[str, Destination] = {}
    for each in project.automations.definitions:
        match each.deliver:
            case Webhook() as webhook:
                found[each.name] = Destination(_key(webhook.webhook), _title(webhook.webhook), webhook=webhook)
            case FileTarget(file=file):
                folder = (project.root / file).resolve()
                found[each.name] = Destination(_key(f"file {folder}"), f"file {file}", folder=folder)
    return found


def deliver(project: Project, store: OpsStore, clock: Clock, *, chance: random.Random | None = None) -> Delivered:
    """Send what is due now. Errors: `LeaseHeld` while another process delivers, `EventpipeError` while a removal has not ended."""
    targets = destinations(project)
    done = Delivered()
    with delivering(store, clock) as lease:
        with lease.begin() as connection:
            removals.refuse_while_unfinished(connection)
            ops.assign(connection, lease, {name: (each.key, each.title) for name, each in targets.items()})
        work = _Work(project, store, lease, clock, chance or random.Random(), targets, done)
        try:
            anyio.run(work.run)
        except BaseExceptionGroup as group:
            raise _first(group) from group
    return done


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first: the others were cancelled by it."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@contextmanager
def delivering(store: OpsStore, clock: Clock, wait: timedelta = timedelta()) -> Iterator[Lease]:
    """The delivery lease, for the length of the block. Errors: `LeaseHeld`."""
    holder = f"delivery-{uuid4().hex[:12]}"
    lease = leases.acquire(store, holder, now=clock, wait=wait, name=leases.DELIVERY)
    try:
        with lease.keep_alive():
            yield lease
    finally:
        lease.release()


class _Work:
    def __init__(
        self,
        project: Project,
        store: OpsStore,
        lease: Lease,
        clock: Clock,
        chance: random.Random,
        targets: dict[str, Destination],
        done: Delivered,
    ) -> None:
        self.settings = project.settings.deliver
        self.store = store
        self.lease = lease
        self.clock = clock
        self.chance = chance
        self.targets = targets
        self.done = done
        self._busy = 0

    async def run(self) -> None:
        """All targets side by side; in flight are as many requests as set, or one of each target where there are more."""
        with self.store.read() as connection:
            states = ops.states(connection)
        unique = {each.key: each for each in self.targets.values()}
        now = self.clock()
        ready = [
            each
            for key, each in sorted(unique.items())
            if states[key].disabled_at is None and not _rests(states[key], now)
        ]
        self._busy = len(ready)
        async with anyio.create_task_group() as tasks:
            for each in ready:
                tasks.start_soon(self._serve, _Target(self, each, states[each.key]))

    async def _serve(self, target: _Target) -> None:
        try:
            await target.serve()
        finally:
            self._busy -= 1

    @property
    def share(self) -> int:
        """How many requests one target may have under way: what there is, divided by those that still have some to send."""
        return max(1, self.settings.in_flight // max(1, self._busy))


class _Target:
    """The triggers of one target."""

    def __init__(self, work: _Work, destination: Destination, state: ops.EndpointState) -> None:
        self._work = work
        self._destination = destination
        self._state = state
        self._queue: deque[ops.Outgoing] = deque()
        self._on_their_way: dict[str, str] = {}
        self._attempts: list[ops.Attempt] = []
        self._recorded_at = time.monotonic()
        self._turn = anyio.Lock()
        self._is_over = False
        self._is_empty = False

    async def serve(self) -> None:
        """Sends until nothing is due, or the target is in trouble."""
        try:
            if self._destination.folder is not None:
                await self._write_files(self._destination.folder)
            else:
                await self._post_all()
        finally:
            with anyio.CancelScope(shield=True):
                await self._record()

    async def _write_files(self, folder: Path) -> None:
        while page := await self._due(FILE_LINES):
            now, started = self._work.clock(), time.monotonic()
            error: str | None = None
            try:
                await anyio.to_thread.run_sync(outbox.write, folder, page, now)
            except OSError as fault:
                error = f"the file cannot be written: {fault.strerror or type(fault).__name__}"
            reach("deliver.sent")
            for each in page:
                self._note(each, Answer(None, error), now, time.monotonic() - started, is_alone=each is page[0])
            await self._record()
            if error is not None:
                return

    async def _post_all(self) -> None:
        webhook = self._destination.webhook
        assert webhook is not None
        try:
            target = endpoint(webhook.webhook, self._work.settings.allow_hosts)
        except TargetRefused as error:
            await self._refuse(str(error))
            return
        async with (
            WebhookClient(target, self._work.settings.allow_hosts, self._work.settings.in_flight) as client,
            anyio.create_task_group() as tasks,
        ):
            for place in range(self._work.settings.in_flight):
                tasks.start_soon(self._post, client, place)

    async def _refuse(self, why: str) -> None:
        while not self._is_over and (page := await self._due(PAGE)):
            now = self._work.clock()
            for each in page:
                self._note(each, Answer(None, f"refused: {why}"), now, 0.0)
                if self._is_over:
                    break
            await self._record()

    async def _post(self, client: WebhookClient, place: int) -> None:
        """One of those that send; how many of them do is this target's share."""
        while (trigger := await self._next(place)) is not None:
            webhook = self._work.targets[trigger.automation].webhook
            assert webhook is not None
            text, now, started = body(trigger), self._work.clock(), time.monotonic()
            answer = await client.post(headers(trigger.trigger_id, text, webhook.secrets, now), text, now)
            reach("deliver.sent")
            self._note(trigger, answer, now, time.monotonic() - started)
            if len(self._attempts) >= _BATCH or time.monotonic() - self._recorded_at > _BATCH_SECONDS:
                async with self._turn:
                    await self._record()

    async def _next(self, place: int) -> ops.Outgoing | None:
        """The next trigger to send; None when nothing is due."""
        while place >= self._work.share and not self._is_empty:
            await anyio.sleep(_PAUSE_SECONDS)
        async with self._turn:
            if not self._queue and not self._is_over:
                await self._record()  # what was sent is not due any more
                self._queue.extend(await self._due(PAGE))
            if self._is_over or not self._queue:
                self._is_empty = True
                return None
            trigger = self._queue.popleft()
            self._on_their_way[trigger.trigger_id] = trigger.contact_id
            return trigger

    async def _due(self, limit: int) -> list[ops.Outgoing]:
        return await anyio.to_thread.run_sync(self._read_due, limit)

    def _read_due(self, limit: int) -> list[ops.Outgoing]:
        with self._work.store.read() as connection:
            on_their_way = list(set(self._on_their_way.values()))
            return ops.due(connection, self._destination.key, self._work.clock(), limit, on_their_way)

    def _note(
        self, trigger: ops.Outgoing, answer: Answer, at: datetime, seconds: float, *, is_alone: bool = True
    ) -> None:
        """Takes down what came of an attempt, and what it says of the target. `is_alone`: others did not fail with it."""
        again = None
        if answer.error is not None:
            again = next_attempt(trigger.tried + 1, at, answer.wish, self._work.chance)
            if answer.is_gone:
                again = again or at  # not dead: another address can still have it
        attempt = ops.Attempt(
            trigger.trigger_id, trigger.attempts + 1, at, seconds, answer.status_code, answer.error, again
        )
        self._attempts.append(attempt)
        self._work.done.count(self._destination.title, attempt)
        if is_alone or answer.error is None:
            self._judge_target(answer, at)

    def _judge_target(self, answer: Answer, at: datetime) -> None:
        """One trouble is counted once: what was on its way meanwhile neither lifts a pause nor makes it longer."""
        if self._is_over and not answer.is_gone:
            return
        if answer.error is None:
            self._state = replace(self._state, failures=0, paused_until=None, last_error=None)
            return
        failures = self._state.failures + 1
        pause = rest(failures, answer.wish)
        until = None if pause is None else at + pause
        self._state = replace(
            self._state,
            failures=failures,
            paused_until=until,
            disabled_at=at if answer.is_gone else self._state.disabled_at,
            last_error=answer.error,
        )
        self._is_over = self._is_over or until is not None or answer.is_gone

    async def _record(self) -> None:
        attempts, self._attempts = self._attempts, []
        self._recorded_at = time.monotonic()
        if attempts:
            await anyio.to_thread.run_sync(self._write, attempts)
            for each in attempts:
                self._on_their_way.pop(each.trigger_id, None)

    def _write(self, attempts: list[ops.Attempt]) -> None:
        with self._work.lease.begin() as connection:
            ops.record(connection, self._work.lease, attempts, self._state)


def _rests(state: ops.EndpointState, now: datetime) -> bool:
    return state.paused_until is not None and state.paused_until > now


def _key(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()[:16]


def _title(url: str) -> str:
    try:
        found: Endpoint = endpoint(url, ())
    except TargetRefused:
        return _host_of(url)
    return found.title


def _host_of(url: str) -> str:
    """As much of a refused address as can be shown: what may be a secret is the rest of it."""
    scheme, _, rest_of = url.partition("://")
    host = rest_of.partition("/")[0].rpartition("@")[2][:100]
    return f"{scheme[:10]}://{host}" if host.isprintable() and host else "a webhook"
