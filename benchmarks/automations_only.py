"""Decisions and deliveries alone in a process of its own: `python -m benchmarks.automations_only PROJECT`.

The project was run once; it is changed. Prints as JSON: seconds of a decision step that finds so many new candidates among
all events, recorded and shown, of which how many fired; deliveries a second to a receiver on loopback, and those of a bare
HTTP client with as many requests in flight; peak memory of this process after a backlog, and after ten times of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpcore
import polars as pl

from eventpipe.automations import history
from eventpipe.automations.decide import decide
from eventpipe.delivery.deliver import deliver
from eventpipe.ops import automations as ops
from eventpipe.ops import lease as leases
from eventpipe.ops.seen_events import KEY, MOST, SeenFrame
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project, load_project
from eventpipe.warehouse.database import connect

CANDIDATES: Final = 100_000
DELIVERIES: Final = 4_000
IN_FLIGHT: Final = 16
_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_BODY: Final = b'{"email":"jane@example.com","value":70,"items":["a","b"]}' * 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.automations_only", description="Time automations.")
    parser.add_argument("project", type=Path, help="a project folder that was run")
    root: Path = parser.parse_args().project
    # Deliveries first: the peak of a process never sinks, and that of a decision step would hide theirs.
    told = {**_deliveries(root), **_decisions(root)}
    print(json.dumps(told))


def _decisions(root: Path) -> dict[str, Any]:
    project = load_project(root, {})
    with closing(connect(project)) as connection:
        (name, last, as_of) = connection.execute(
            "select event_name, max(occurred_at), (select as_of from run.parameters) from main.events"
            " where goal_type is null and contact_id is not null group by event_name order by count(*) desc limit 1"
        ).fetchone() or ("", None, None)
    assert last is not None
    _define(root, str(name), "{file: outbox/}")
    project = load_project(root, {})
    with OpsStore.open(project.ops) as store, closing(connect(project)) as connection:
        history.prepare(connection)
        keys = (
            connection.execute(
                "select event_id from main.events where event_name = $1 order by occurred_at desc, event_id", [name]
            )
            .pl()
            .rename({"event_id": KEY})
        )
        candidates = min(CANDIDATES, len(keys))
        empty = pl.DataFrame(schema=dict(ops.DECISION_SCHEMA)).with_columns(is_new=pl.Series([], dtype=pl.Boolean))
        automation = project.automations.definitions[0]
        began = ops.Activation(automation.name, automation.awaits, automation.version, "before", as_of)
        before = ops.Step(
            "before",
            as_of,
            (began,),
            (),
            {},
            {str(name): [SeenFrame.of(each) for each in keys[candidates:].iter_slices(MOST)]},
            empty,
            pl.DataFrame(schema=dict(ops.TRIGGER_SCHEMA)),
            frozenset(),
        )
        _record(store, before)
        started = time.monotonic()
        with store.read() as reading:
            step = decide(
                connection,
                reading,
                project.automations,
                run_id="bench",
                as_of=as_of + timedelta(hours=2),
                is_observed=True,
            )
        assert step is not None
        _record(store, step)
        with store.read() as reading:
            history.sync(connection, reading, "before")
        seconds = time.monotonic() - started
    return {
        "decide": seconds,
        "events": len(keys),
        "candidates": step.candidates,
        "wanted": candidates,
        "fired": step.triggers.height,
    }


def _deliveries(root: Path) -> dict[str, Any]:
    with _receiver() as port:
        folder = root / "delivering"
        folder.mkdir(exist_ok=True)
        (folder / "eventpipe.yml").write_text(
            f"deliver: {{in_flight: {IN_FLIGHT}, allow_hosts: ['127.0.0.1:{port}']}}\n"
        )
        _define(folder, "checkout", f"{{webhook: 'http://127.0.0.1:{port}/', secret: {_SECRET}}}")
        project = load_project(folder, {})
        with OpsStore.open(project.ops) as store:
            ours: list[float] = []
            theirs: list[float] = []
            peaks: list[int] = []
            for times in (1, 1, 10):
                _fire(store, DELIVERIES * times, len(ours))
                ours.append(_rate(DELIVERIES * times, lambda: _deliver(project, store)))
                theirs.append(_rate(DELIVERIES, lambda: asyncio.run(_bare(port))))
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return {"deliver": max(ours), "bare": max(theirs), "peak": peaks[1] / 2**20, "peak_of_ten_times": peaks[2] / 2**20}


def _deliver(project: Project, store: OpsStore) -> None:
    done = deliver(project, store, _now)
    assert not done.failed, done


def _define(root: Path, event: str, target: str) -> None:
    (root / "automations").mkdir(exist_ok=True)
    (root / "automations" / "bench.yml").write_text(f"""
automations:
  - name: bench
    trigger: {{event: {event}}}
    wait: 1h
    unless: {{event: order.completed}}
    only_if: {{contact: event_count, at_least: 1}}
    frequency: {{every: 7d}}
    max_lateness: 3000d
    payload: [email, value, currency, order_id, contact.first_name]
    deliver: {target}
""")


def _fire(store: OpsStore, number: int, turn: int) -> None:
    at = _now()
    ids = [f"trg_{turn}_{each:08}" for each in range(number)]
    decided = pl.DataFrame({"trigger_id": ids}).select(
        pl.lit("bench").alias("automation"),
        pl.col("trigger_id").alias("occasion"),
        pl.lit("default").alias("workspace_id"),
        pl.col("trigger_id").alias("contact_id"),
        *(pl.lit(None, dtype=pl.String).alias(each) for each in ("event_id", "event_name", "source", "segment")),
        *(pl.lit(at).alias(each) for each in ("occurred_at", "due_at", "decided_at")),
        pl.lit("fired").alias("status"),
        *(pl.lit(None, dtype=pl.String).alias(each) for each in ("reason", "detail")),
        "trigger_id",
        *(pl.lit(f"turn{turn}").alias(each) for each in ("rule_version", "run_id")),
        is_new=pl.lit(True),
    )
    triggers = decided.with_columns(fired_at=pl.lit(at), payload=pl.lit(json.dumps({"text": _BODY.decode()}))).select(
        *ops.TRIGGER_SCHEMA
    )
    _record(store, ops.Step(f"turn{turn}", at, (), (), {}, {}, decided, triggers, frozenset({"bench"})))


def _record(store: OpsStore, step: ops.Step) -> None:
    lease = leases.acquire(store, step.run_id, now=_now, wait=timedelta(minutes=1))
    with lease.begin() as connection:
        ops.record(connection, lease, step, now=_now())
    lease.release()


async def _bare(port: int) -> None:
    left = iter(range(DELIVERIES))
    async with httpcore.AsyncConnectionPool(max_connections=IN_FLIGHT) as pool:

        async def send() -> None:
            for _ in left:
                await pool.request("POST", f"http://127.0.0.1:{port}/", content=_BODY)

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


def _rate(number: int, work: Any) -> float:
    started = time.monotonic()
    work()
    return number / (time.monotonic() - started)


@contextmanager
def _receiver() -> Iterator[int]:
    """A receiver in a process of its own; its port."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    try:
        yield int(mine.recv())
    finally:
        process.terminate()
        process.join()


def _receive(told: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
