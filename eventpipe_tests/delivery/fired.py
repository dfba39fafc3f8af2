"""Triggers that fired, in an ops store, without the pipeline that would fire them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import polars as pl

from eventpipe.ops import automations as ops
from eventpipe.ops import lease as leases
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe_tests import builders

FIRED_AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


@cache
def _empty_store() -> bytes:
    """An ops store with all its tables: migrating takes longer than most tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ops.db"
        OpsStore.open(path).close()
        return path.read_bytes()


def empty_store(path: Path) -> Path:
    """An empty ops store at this path."""
    path.write_bytes(_empty_store())
    return path


def project(folder: Path, targets: Mapping[str, object], **settings: Any) -> Project:
    """A project whose automations deliver to these targets, with an empty ops store."""
    folder.mkdir(parents=True, exist_ok=True)
    automations = [
        {"name": name, "trigger": {"event": "checkout_started"}, "payload": ["value"], "deliver": target}
        for name, target in targets.items()
    ]
    made = builders.project(folder, automations=automations, **settings)
    assert isinstance(made.ops, Path)
    empty_store(made.ops)
    return made


def fire(store: OpsStore, automation: str, contacts: Sequence[str], *, at: datetime = FIRED_AT) -> list[str]:
    """One trigger for each of these contacts, in this order; their ids. What they carry is their number."""
    run_id = uuid4().hex
    rows = [
        {
            "automation": automation,
            "occasion": uuid4().hex,
            "workspace_id": "default",
            "contact_id": contact,
            "event_id": None,
            "event_name": None,
            "source": None,
            "segment": None,
            "occurred_at": at + timedelta(microseconds=number),
            "due_at": at,
            "decided_at": at,
            "status": "fired",
            "reason": None,
            "detail": None,
            "trigger_id": f"trg_{uuid4().hex}",
            "rule_version": "v",
            "run_id": run_id,
        }
        for number, contact in enumerate(contacts)
    ]
    decided = pl.DataFrame(rows, schema=dict(ops.DECISION_SCHEMA)).with_columns(is_new=True)
    triggers = decided.with_columns(
        fired_at=pl.lit(at), payload=pl.Series([f'{{"value":{number}.50}}' for number in range(len(rows))])
    ).select(*ops.TRIGGER_SCHEMA)
    step = ops.Step(run_id, at, (), (), {}, {}, decided, triggers, frozenset({automation}))
    lease = leases.acquire(store, run_id, now=_now, wait=timedelta())
    with lease.begin() as connection:
        ops.record(connection, lease, step, now=at)
    lease.release()
    return [str(row["trigger_id"]) for row in rows]


def _now() -> datetime:
    return datetime.now(UTC)
