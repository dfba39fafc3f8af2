"""Random projects and what lands in them: presets and mapped sources of every shape, lenient and strict definitions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from eventpipe.project.folder import Project
from eventpipe_tests import builders
from eventpipe_tests.intake.messy_values import NO_EVENTS, NOTHING, ORDER, POOLS, PROPERTIES, SHAPES
from eventpipe_tests.intake.reference.contract import judge
from eventpipe_tests.intake.reference.judged import Judged, Rules
from eventpipe_tests.intake.reference.lines import Line, read
from eventpipe_tests.intake.reference.mapped import EXPRESSIONS, sent
from eventpipe_tests.intake.reference.values import dump, raw_text

DAYS = (date(2026, 1, 5), date(2026, 3, 29))
TIMEZONES = ("UTC", "Europe/London", "America/New_York")
TOTAL, CENTS, DAY, NAME = EXPRESSIONS


@dataclass(frozen=True)
class Export:
    """One export file."""

    source: str
    landed_on: date
    name: str
    content: bytes


@dataclass(frozen=True)
class World:
    """A project's settings, sources and definitions, as YAML has them, and its exports."""

    settings: Mapping[str, str]
    sources: Mapping[str, Mapping[str, Any]]
    definitions: list[dict[str, Any]]
    exports: list[Export]

    def before(self, random: Random) -> list[Export]:
        """Some of the exports as they may have landed first: cut short, whatever that makes of them."""
        cut = [each for each in self.exports if random.random() < 0.4]
        return [replace(each, content=each.content[: random.randrange(len(each.content))]) for each in cut]

    def project(self, folder: Path) -> Project:
        """The project in a folder, without exports."""
        settings: dict[str, Any] = dict(self.settings)
        return builders.project(folder, sources=self.sources, events=self.definitions, **settings)

    def judged(self) -> Iterator[tuple[Export, Line, Judged]]:
        """What the reference makes of each event, and of each line that is none."""
        for export in self.exports:
            source = self.sources[export.source]
            rules = Rules(source, self.definitions, self.settings)
            for line in read(export.content, export.name, source):
                if line.record is None:
                    yield export, line, Judged(reasons={line.fault})
                else:
                    yield export, line, judge(sent(line.record, source), rules, export.landed_on)


def world(random: Random, records: int) -> World:
    """A world with so many records in each file, of which each source has two."""
    sources = {name: _options(random) | entry for name, entry in _sources(random).items()}
    settings = {"timezone": random.choice(TIMEZONES), "currency": random.choice(("USD", "CHF"))}
    exports = []
    for name in sources:
        for day in DAYS:
            made = [_record(random, random.choice(SHAPES[name])) for _ in range(records)]
            ending = "csv" if name == "rows" else random.choice(("jsonl", "jsonl", "json"))
            exports.append(Export(name, day, f"{day.day}.{ending}", _content(random, ending, made, name)))
    return World(settings, sources, [_order(random), _joined(random)], exports)


def _maybe(random: Random, chance: float, **keys: Any) -> dict[str, Any]:
    return keys if random.random() < chance else {}


def _sources(random: Random) -> dict[str, dict[str, Any]]:
    """Each preset, and mapped sources: of nested records, of columns, of lists."""
    columns = {
        "event_name": random.choice(("name", {"sql": NAME}, {"value": "order.completed"})),
        "customer_id": "who",
        "order_id": "who",
        "dedupe_key": "key",
        "occurred_at": random.choice(("at", {"sql": DAY}, {"field": "day", "format": "%d.%m.%Y"})),
        "value": {"sql": CENTS},
        **_maybe(random, 0.3, kind="group", previous_id="step"),
        **_maybe(random, 0.5, deleted_at="gone"),
    }
    nested = columns | {"customer_id": "user.id", "email": "user.email", "order_id": random.choice(("cart.id", "cart"))}
    nested["value"] = random.choice(({"sql": TOTAL}, {"sql": CENTS}, "item.price", "item"))
    hits = {"event_name": "name", "customer_id": "user.id", "dedupe_key": "key"}
    return {
        "web": {"preset": "canonical"},
        "redo": {
            "preset": "redo",
            **_maybe(random, 0.3, map={"goal_type": {"value": "lead"}, "order_id": "data.card"}),
        },
        "crm": {"preset": "notifuse"},
        "cio": {"preset": "customerio"},
        "arsel": {"preset": "arsel"},
        "till": {"map": nested | _maybe(random, 0.2, properties="blob")},
        "rows": {"map": columns},
        "bulk": {"map": hits, "explode": random.choice(("hits", "page.hits"))},
    }


def _options(random: Random) -> dict[str, Any]:
    return {
        **_maybe(random, 0.3, timezone=random.choice(TIMEZONES)),
        **_maybe(random, 0.3, coerce=random.random() < 0.6),
        **_maybe(random, 0.3, identifiers="optional"),
        **_maybe(random, 0.2, registry=random.choice(("open", "closed"))),
        **_maybe(random, 0.3, default_region="GB"),
        **_maybe(random, 0.5, authority=random.randint(-2, 2)),
    }


def _order(random: Random) -> dict[str, Any]:
    return {
        "name": "order.completed",
        "aliases": ["Order Completed", "cart.left"],
        "properties": [
            {"name": "order_id", "type": "string", **_maybe(random, 0.7, maps_to="order_id")},
            {"name": "total", "type": "number", "aliases": ["amount"], **_maybe(random, 0.7, maps_to="value")},
            {"name": "items", "type": "array", "required": random.random() < 0.5},
            {"name": "placed_on", "type": "date"},
            {"name": "gift", "type": "boolean"},
            {"name": "address", "type": "object", "aliases": ["home"]},
            {"name": "code", "type": "string", "maps_to": "currency"},
        ],
        **_maybe(random, 0.6, goal={"type": "purchase", "value": "total", "name": "shop"}),
        **_maybe(random, 0.6, dedupe_on="order_id"),
        **_maybe(random, 0.3, unknown_properties="reject"),
        **_maybe(random, 0.3, mode="observe"),
    }


def _joined(random: Random) -> dict[str, Any]:
    card = {"name": "card", "type": "string", "maps_to": "customer_id", "required": random.random() < 0.5}
    return {"name": "joined", "properties": [card], "goal": {"type": "signup"}}


def _record(random: Random, shape: Mapping[str, Any]) -> dict[str, Any]:
    """A record of this shape; now and then a field says nothing."""
    record = {}
    for field, pool in shape.items():
        name = field.rstrip("?")
        if random.random() > {0: 1, 1: 0.5, 2: 0.2}[len(field) - len(name)]:
            continue
        if pool == "=" and random.random() < 0.97:
            record[name] = _record(random, PROPERTIES) | (_record(random, ORDER) if random.random() < 0.5 else {})
        elif isinstance(pool, dict):
            record[name] = _record(random, pool)
        elif len(pool) > 1 and pool.startswith("="):
            record[name] = pool[1:]
        else:
            values: Sequence[Any] = NOTHING if random.random() < 0.05 else POOLS.get(pool, POOLS["anything"])
            record[name] = random.choice(values)
    return record


def _content(random: Random, ending: str, records: list[dict[str, Any]], source: str) -> bytes:
    if ending == "csv":
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows(
            [list(records[0]), *([raw_text(cell) for cell in each.values()] for each in records)]
        )
        return text.getvalue().encode()
    lines: list[bytes] = []
    while records:
        # Some as a vendor's batch.
        count = random.randint(2, 4) if random.random() < 0.1 else 1
        batch, records = records[:count], records[count:]
        key = "batch" if source == "cio" else "events"
        lines.append(dump({key: batch, "workspace_id": "batch"} if count > 1 else batch[0]).encode())
    if ending == "json":
        return b"[" + b", ".join(lines) + b"]"
    lines = [each for line in lines for each in (line, *random.sample(NO_EVENTS, random.random() < 0.1))]
    return b"".join(line + random.choice((b"\n", b"\r\n", b"\r")) for line in lines)
