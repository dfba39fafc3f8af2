"""The tables that the decision step reads, with a few events in them, and the step itself: no pipeline around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import polars as pl

from eventpipe.automations.decide import decide
from eventpipe.automations.definitions import Automations, read_automations
from eventpipe.ops import automations as ops
from eventpipe.ops import lease as leases
from eventpipe.ops.quiet import QuietLines, marker
from eventpipe.ops.store import OpsStore
from eventpipe.project.definitions import Registry
from eventpipe.project.document import Document
from eventpipe.project.rfm import RfmSettings
from eventpipe.segments.names import Names
from eventpipe_tests.delivery.fired import empty_store

DAY = datetime(2026, 1, 5, tzinfo=UTC)
_AT = pl.Datetime("us", "UTC")
_TEXT = pl.String
_EVENTS = {
    **dict.fromkeys(
        "event_id workspace_id event_name source file deletion contact_id order_key properties run_id".split(), _TEXT
    ),
    **dict.fromkeys("currency order_id goal_type goal_name customer_id email phone anonymous_id".split(), _TEXT),
    "landed_on": pl.Date,
    "line": pl.Int64,
    "index": pl.Int64,
    "occurred_at": _AT,
    "value": pl.Decimal(18, 4),
}
_CONTACTS = {
    **dict.fromkeys("workspace_id contact_id customer_id email phone traits last_intent".split(), _TEXT),
    "is_anonymous": pl.Boolean,
    "first_seen_at": _AT,
    "last_seen_at": _AT,
    "event_count": pl.Int64,
}
_OTHERS: dict[str, dict[str, Any]] = {
    "main.contact_identifiers": {
        **dict.fromkeys("workspace_id contact_id identifier_type identifier_value".split(), _TEXT),
        "last_seen_at": _AT,
    },
    "main.contact_rfm": dict.fromkeys("workspace_id contact_id currency rfm_segment rfm_score".split(), _TEXT),
    "main.segment_members": dict.fromkeys("workspace_id segment contact_id".split(), _TEXT),
    "main.segment_history": {
        **dict.fromkeys("workspace_id segment contact_id".split(), _TEXT),
        "entered_at": _AT,
        "left_at": _AT,
    },
}


CHECKOUT = {"name": "cart", "trigger": {"event": "checkout"}}
WAITING = {**CHECKOUT, "wait": "1h", "unless": {"event": "order"}}


def at(hours: float) -> datetime:
    """So many hours after midnight of the first day."""
    return DAY + timedelta(hours=hours)


@dataclass
class World:
    """What the tables hold, and an ops store. A test changes it and runs the step again."""

    folder: Path
    automations: list[Mapping[str, object]]
    segments: frozenset[str] = frozenset({"vip"})
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    superseded: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    traits: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    history: list[tuple[str, datetime, datetime | None]] = field(default_factory=list)
    deletions: set[str] = field(default_factory=set)
    plan: Registry = field(default_factory=Registry)

    def __post_init__(self) -> None:
        self.store = OpsStore.open(empty_store(self.folder / "ops.db"))
        self._database = duckdb.connect(config={"threads": 1})
        self._database.execute("create schema run; create schema work")
        self._stored: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._members_before: set[str] = set()
        self._wrote: dict[str, tuple[dict[str, Any], str]] = {}
        self._runs = 0

    def put(self, event_name: str, contact: str | None, hours: float, **fields: Any) -> str:
        """An event; its id, given as `event_id` or the next number."""
        event_id = fields.pop("event_id", f"e{len(self.events) + len(self.superseded):03}")
        properties = fields.pop("properties", {})
        self.events[event_id] = {
            "workspace_id": "default",
            "event_name": event_name,
            "source": "web",
            "landed_on": date(2026, 1, 5),
            "file": "a.jsonl",
            "line": len(self.events) + 1,
            "contact_id": contact,
            "deletion": "unchanged",
            "occurred_at": at(hours),
            "properties": json.dumps(properties),
            "value": Decimal("70.5"),
            **fields,
            "event_id": event_id,
        }
        return str(event_id)

    def current(self, contact: str) -> str:
        """Who a contact is now."""
        while contact in self.merged:
            contact = self.merged[contact]
        return contact

    def rebuild(self) -> None:
        """The next run writes all tables again."""
        self._wrote.clear()

    def changes(self) -> list[tuple[str, bool]]:
        """Who enters or leaves the segment with the next run, and whether it enters."""
        now = {self.current(each) for each in self.members}
        before = {self.current(each) for each in self._members_before}
        return [(each, True) for each in sorted(now - before)] + [(each, False) for each in sorted(before - now)]

    def run(
        self,
        hours: float,
        *,
        fire: bool = False,
        is_observed: bool = True,
        backfill: bool = False,
        is_killed: bool = False,
    ) -> ops.Step | None:
        """One decision step as of so many hours after midnight of the first day, recorded unless it was killed before."""
        self._runs += 1
        connection = self._tables(at(hours))
        with self.store.read() as reading:
            step = decide(
                connection,
                reading,
                self.read(),
                run_id=self._run_id,
                as_of=at(hours),
                is_observed=is_observed,
                lands_the_past=backfill,
                fire=fire,
            )
        connection.close()
        if is_killed:
            return step
        if step is not None:
            lease = leases.acquire(self.store, uuid4().hex, now=lambda: at(hours), wait=timedelta())
            with lease.begin() as writing:
                ops.record(writing, lease, step, now=at(hours))
            lease.release()
        self._members_before = {self.current(each) for each in self.members}
        return step

    def quieten(self, sha256: str = "sha", lines: Sequence[int] | None = None, source: str = "web") -> None:
        """Marks lines of the only export."""
        frame = (
            None
            if lines is None
            else pl.DataFrame({"line": lines, "index": None}, schema={"line": pl.Int64, "index": pl.Int64})
        )
        lease = leases.acquire(self.store, uuid4().hex, now=lambda: DAY, wait=timedelta())
        marker(lease, lambda: DAY)(QuietLines(source, date(2026, 1, 5), "a.jsonl", sha256, frame))
        lease.release()

    def read(self) -> Automations:
        names = Names(
            self.plan, ("customer_id", "email", "phone", "anonymous_id"), RfmSettings().segment_names, "USD", "UTC"
        )
        document = Document("automations/all.yml", {"automations": self.automations})
        found, problems = read_automations([document], names, self.segments)
        assert found is not None, "\n".join(map(str, problems))
        return found

    def decisions(self, automation: str | None = None) -> dict[str, tuple[str, str | None]]:
        """Status and reason of each candidate, by its occasion."""
        with self.store.read() as reading:
            frames = [*ops.decided(reading)]
        rows = pl.concat(frames).to_dicts() if frames else []
        return {
            row["occasion"]: (row["status"], row["reason"]) for row in rows if automation in (None, row["automation"])
        }

    def fired(self) -> list[dict[str, Any]]:
        """The triggers, in the order in which they fired."""
        with self.store.read() as reading:
            frames = [*ops.triggers(reading)]
        rows = pl.concat(frames).to_dicts() if frames else []
        return sorted(rows, key=lambda row: (row["fired_at"], row["occasion"]))

    def _tables(self, as_of: datetime) -> duckdb.DuckDBPyConnection:
        connection = self._database.cursor()  # with temporary tables of its own
        connection.execute("set TimeZone = 'UTC'")
        due = [self._now(each) for each in self.events.values() if each["occurred_at"] <= as_of]
        wrote = {each["event_id"]: self._writer(each) for each in due}
        self._store("main.events", [{**each, "run_id": wrote[each["event_id"]]} for each in due], _EVENTS)
        self._store("main.event_history", [self._now(each) for each in self.superseded.values()], _EVENTS)
        alive = sorted({each["contact_id"] for each in due if each["deletion"] != "deleted" and each["contact_id"]})
        people = [
            {
                "workspace_id": "default",
                "contact_id": each,
                "email": f"{each}@x.example",
                "traits": json.dumps(self.traits.get(each, {})),
            }
            for each in alive
        ]
        self._store("main.contacts", people, _CONTACTS)
        known = {*(each["contact_id"] for each in self.events.values() if each["contact_id"]), *self.merged}
        aliases = [
            {"workspace_id": "default", "alias_id": each, "contact_id": self.current(each)} for each in sorted(known)
        ]
        self._store(
            "main.contact_aliases",
            aliases,
            dict.fromkeys(("workspace_id", "alias_id", "contact_id"), _TEXT),
        )
        for table in ("main.contact_identifiers", "main.contact_rfm"):
            self._store(table, [], _OTHERS[table])
        touched = [{"contact_id": each["contact_id"]} for each in due if wrote[each["event_id"]] == self._run_id]
        self._store("work.touched_contacts", touched, {"contact_id": _TEXT})
        now = {self.current(each) for each in self.members}
        rows = [
            {
                "segment": "vip",
                "workspace_id": "default",
                "contact_id": contact,
                "change": "entered" if enters else "left",
            }
            for contact, enters in self.changes()
        ]
        self._store(
            "run.segment_changes",
            rows,
            dict.fromkeys(("segment", "workspace_id", "contact_id", "change"), _TEXT),
        )
        members = [{"workspace_id": "default", "segment": "vip", "contact_id": each} for each in sorted(now)]
        self._store("main.segment_members", members, _OTHERS["main.segment_members"])
        episodes = [
            {"workspace_id": "default", "segment": "vip", "contact_id": who, "entered_at": entered, "left_at": left}
            for who, entered, left in self.history
        ]
        self._store("main.segment_history", episodes, _OTHERS["main.segment_history"])
        export = {"landed_on": date(2026, 1, 5), "file": "a.jsonl", "sha256": "sha"}
        self._store(
            "run.exports",
            [{"source": source, **export} for source in ("web", "app", "till")],
            {"source": _TEXT, "landed_on": pl.Date, "file": _TEXT, "sha256": _TEXT},
        )
        return connection

    @property
    def _run_id(self) -> str:
        return f"run{self._runs}"

    def _writer(self, event: dict[str, Any]) -> str:
        """The run that wrote this row: the present one, where it is not there as it is already. A merge only updates it."""
        content = {key: value for key, value in event.items() if key != "contact_id"}
        found = self._wrote.get(event["event_id"])
        if found is None or found[0] != content:
            self._wrote[event["event_id"]] = (content, self._run_id)
        return self._wrote[event["event_id"]][1]

    def _now(self, event: dict[str, Any]) -> dict[str, Any]:
        contact = event["contact_id"]
        deletion = "deleted" if event["event_id"] in self.deletions else event["deletion"]
        return {**event, "contact_id": None if contact is None else self.current(contact), "deletion": deletion}

    def _store(self, table: str, rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> None:
        if self._stored.get(table) == rows:
            return
        self._database.register("frame", pl.DataFrame([*rows], schema=dict(schema), orient="row").to_arrow())
        self._database.execute(f"create or replace table {table} as from frame")
        self._database.unregister("frame")
        self._stored[table] = rows


Make = Callable[..., World]
"""Makes a world with these automations."""
