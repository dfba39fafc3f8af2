"""A shop with somebody who asks to be forgotten: orders, a device that is shared, rejected lines, triggers of all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from eventpipe.cli.options import now
from eventpipe.cli.writer import writing_alone
from eventpipe.delivery.deliver import deliver
from eventpipe.erasure.carried import LakeLines
from eventpipe.erasure.erase import erase
from eventpipe.erasure.person import Person
from eventpipe.ops import memberships
from eventpipe.ops.erasures import Erasure
from eventpipe.ops.store import OpsStore
from eventpipe.project.corrections import add_correction
from eventpipe.project.folder import load_project
from eventpipe.serving.reading import reading
from eventpipe_tests import builders
from eventpipe_tests.builders import event
from eventpipe_tests.pipeline.shop import Shop

MAIL, PHONE, DEVICE, ID = "ann@erase.example", "+15005550006", "device-of-ann", "customer-ann"
NAME = "Annabelle"
CANARIES = (MAIL, PHONE.removeprefix("+"), DEVICE, ID, NAME)
MORNING, EVENING, NEXT_DAY = (datetime(2026, 1, *at, tzinfo=UTC) for at in ((5, 6), (5, 20), (6, 20)))
SEGMENTS = [
    {"name": "buyers", "where": {"event": "order.completed"}},
    {"name": "lookers", "where": {"not": {"event": "order.completed"}}},
]
AUTOMATIONS = [
    {
        "name": "cart",
        "trigger": {"event": "checkout.started"},
        "payload": ["email", "contact.first_name"],
        "deliver": {"file": "outbox/"},
    },
    {"name": "later", "trigger": {"event": "checkout.started"}, "wait": "14h", "payload": ["email"]},
    {"name": "buyer", "trigger": {"segment_entered": "buyers"}, "payload": ["email"]},
    {"name": "looker", "trigger": {"segment_entered": "lookers"}},
    {"name": "gone", "trigger": {"segment_left": "buyers"}},
]


def _at(hour: str, **fields: object) -> dict[str, object]:
    return event(occurred_at=f"2026-01-05T{hour}:00Z", **fields)


HERS = {"customer_id": ID, "email": MAIL, "phone": PHONE, "anonymous_id": DEVICE}
FIRST = [
    _at("08:00", customer_id=None, anonymous_id=DEVICE),
    _at("08:10", event_name="identify", kind="identify", **HERS, traits={"first_name": NAME}),
    _at("08:20", event_name="checkout.started", **HERS, value=50, dedupe_key="c1"),
    _at("08:25", event_name="order.completed", **HERS, value=50, goal_type="purchase", order_id="o1"),
    # The device is hers, the purchase is not.
    _at("09:00", event_name="order.completed", customer_id="bob", anonymous_id=DEVICE, value=20, goal_type="purchase"),
    _at("09:10", event_name="checkout.started", customer_id="bob", value=30),
    _at("09:20", customer_id="eve", email="eve@x.example"),
    _at("09:30", event_name="order.completed", customer_id="eve", email="eve@x.example", value=9, goal_type="purchase"),
    event(customer_id=ID, occurred_at="never", properties={"name": NAME}),
    f'{{"email": "{MAIL}", "name": "{NAME}"',
    "{",
]
_BOBS = _at("09:00", event_name="order.completed", customer_id="bob", value=20, goal_type="purchase")
WITHOUT_HER = ["{", "{", "{", "{", _BOBS, *FIRST[5:8], "{", "{", "{"]
"""The same lines in the same places, as if what was hers had been rejected for anything else."""


def shop(folder: Path, lines: Sequence[object], **settings: Any) -> Shop:
    """The project before and after these lines landed, its triggers delivered."""
    made = Shop(builders.project(folder, segments=SEGMENTS, automations=AUTOMATIONS, **settings))
    made.run(MORNING)
    made.put("web", "2026-01-05", "events.jsonl", builders.lines(*lines))
    made.run(EVENING)
    return made


def asked(folder: Path, **settings: Any) -> Shop:
    """The shop with her, and what people wrote down about her."""
    made = shop(folder, FIRST, **settings)
    with OpsStore.open(made.project.ops) as store:
        deliver(made.project, store, now)
    add_correction(folder, "unlink", (MAIL, "eve@x.example"))
    add_correction(folder, "block", "qa@x.example")
    made = Shop(load_project(folder, {}))
    made.run(EVENING)
    return made


def who(made: Shop, identifier: str = MAIL, type: str | None = None) -> Person:
    with reading(made.project) as store, store.snapshot():
        return Person.found(store, made.project, LakeLines(made.project).sets_with, identifier, type)


def erased(made: Shop, *people: Person) -> list[Erasure]:
    """All steps in this process."""
    return erase(
        made.project,
        (lambda: people) if people else None,
        alone=lambda: writing_alone(made.project, "the erasure"),
        publish=lambda: Shop(load_project(made.project.root, {})).take_out("erase"),
        now=now,
    )


def found(made: Shop, *more: str) -> dict[str, list[str]]:
    """In which files of the project, but exports, which of the canaries are: in their bytes, and in what packed files hold."""
    hits = {}
    root = made.project.root
    for path in (path for path in root.rglob("*") if path.is_file() and "exports" not in path.parts):
        text = path.read_bytes() + _unpacked(path).encode()
        if named := [canary for canary in (*CANARIES, *more) if canary.encode() in text]:
            hits[str(path.relative_to(root))] = named
    return hits


def _unpacked(path: Path) -> str:
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            return str(connection.execute("from read_parquet($1)", [str(path)]).fetchall())
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            names = connection.execute(
                "select table_schema, table_name from information_schema.tables"
                " where table_type = 'BASE TABLE' and table_schema <> 'run'"
            ).fetchall()
            return str([connection.execute(f'from "{schema}"."{name}"').fetchall() for schema, name in names])
    if path.name == "ops.db":
        with OpsStore.open(path) as store:
            return str([each.frame.rows() for each in memberships.journal(store, datetime(2100, 1, 1, tzinfo=UTC))])
    return ""
