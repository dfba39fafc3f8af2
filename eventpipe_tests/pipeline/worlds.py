"""Random shops, many at once: each world is a workspace of one project, so that one run tries all of them.

A world is small and crowded on purpose: few keys, orders, people and moments, so that reports collide in every way that
they can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from eventpipe.project.folder import Project
from eventpipe_tests import builders
from eventpipe_tests.identity.crowds import TIGHT
from eventpipe_tests.pipeline.oracle import Oracle, Source
from eventpipe_tests.pipeline.reports import Identifier, Landed, Place, Preset, Report, as_order, line_of

ORDER = "order.completed"
BLOCKED = "qa@shop.example"
SOURCES: Mapping[str, tuple[Preset, Source]] = {
    "web": ("canonical", Source("first_wins", authority=5)),
    "crm": ("notifuse", Source("latest_wins", authority=10, key_scope="event_name")),
    "shop": ("redo", Source("first_wins", authority=10)),
    "mirror": ("canonical", Source("latest_wins", compat=True)),
    "till": ("canonical", Source("latest_wins", authority=-3)),
}
DAYS = (date(2026, 1, 3), date(2026, 1, 5), date(2026, 1, 7))
FIRST = datetime(2026, 1, 1, 6, tzinfo=UTC)
AS_OF = (
    datetime(2026, 1, 3, 12, tzinfo=UTC),
    datetime(2026, 1, 5, 6, tzinfo=UTC),
    datetime(2026, 1, 7, 18, tzinfo=UTC),
)
"""Instants at which some of the reports lie ahead, also after the last one."""

FileKey = tuple[str, date, str]
"""Source, landing date, file name."""

Exports = Mapping[FileKey, tuple[Report, ...]]


def project(folder: Path) -> Project:
    """A project with the sources, rules and definition that the worlds are written for."""
    sources: dict[str, object] = {}
    for name, (preset, source) in SOURCES.items():
        entry: dict[str, object] = {"preset": preset, "authority": source.authority}
        if source.compat:
            entry["compat"] = "notifuse"
        elif preset == "canonical":
            entry["on_conflict"] = source.on_conflict
        if preset == "redo":
            entry["map"] = {"workspace_id": "workspace"}
        sources[name] = entry
    types = [{"name": each.name, "known": each.known, "limit": each.limit} for each in TIGHT.types]
    order = {
        "name": ORDER,
        "properties": [
            {"name": "order_id", "type": "string", "maps_to": "order_id"},
            {"name": "total", "type": "number", "maps_to": "value"},
        ],
        "goal": {"type": "purchase", "value": "total"},
        "dedupe_on": "order_id",
    }
    identity = {"types": types, "blocked": [BLOCKED], "shared_above": TIGHT.shared_above}
    return builders.project(folder, sources=sources, events=[order], identity=identity)


def oracle(exports: Exports, as_of: datetime) -> Oracle:
    """What must come of these exports."""
    return Oracle(
        landed(exports),
        as_of,
        {name: source for name, (_, source) in SOURCES.items()},
        TIGHT,
        blocked=[BLOCKED],
        deduped=[ORDER],
    )


def landed(exports: Exports) -> Iterator[Landed]:
    """Each report in its place."""
    for (source, day, file), reports in exports.items():
        for line, report in enumerate(reports, start=1):
            yield Landed(Place(day, file, line, source), report)


def content(key: FileKey, reports: Iterable[Report]) -> bytes:
    """An export file's bytes."""
    preset, _ = SOURCES[key[0]]
    return b"".join(line_of(report, preset) for report in reports)


def exports(random: Random, worlds: int, reports: int, *, names: str = "a") -> dict[FileKey, tuple[Report, ...]]:
    """So many worlds with about so many reports each, in files that they share: for each source and date those of the
    `names`. Landing a file costs about as much as a whole world.
    """
    files: dict[FileKey, list[Report]] = {}
    for number in range(worlds):
        world = _World(random, f"world-{number:02}")
        for _ in range(random.randint(reports // 2, reports * 3 // 2)):
            report, day = world.report()
            files.setdefault((report.source, day, random.choice(names) + ".jsonl"), []).append(report)
    return {key: tuple(files[key]) for key in sorted(files)}


def edited(random: Random, reports: tuple[Report, ...]) -> tuple[Report, ...]:
    """Another content for the same file: some reports are missing, some differ, some stand elsewhere."""
    kept = [report for report in reports if random.random() < 0.7]
    changed = [_edited(random, report) if random.random() < 0.3 else report for report in kept]
    if random.random() < 0.3:
        random.shuffle(changed)
    return tuple(changed) or reports[:1]


@dataclass(frozen=True)
class _World:
    random: Random
    name: str

    def report(self) -> tuple[Report, date]:
        """A report and the date on which it lands."""
        random = self.random
        source = random.choice(list(SOURCES))
        preset, _ = SOURCES[source]
        day = random.choice(DAYS)
        # What lands may lie up to a day ahead of the end of its landing date.
        until = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=2)
        steps = int((until - FIRST) / timedelta(hours=7))
        report = Report(
            world=self.name,
            source=source,
            event_name=random.choice((ORDER, ORDER, "page.seen", "lead.made")),
            occurred_at=FIRST + random.randint(0, steps) * timedelta(hours=7),
            identifiers=self._identifiers(preset),
            key=None if random.random() < 0.2 else f"k{random.randint(1, 6)}",
            properties=self._properties(),
        )
        report = self._with_goal(report, preset)
        if preset != "redo" and random.random() < 0.3:
            gone = random.random() < 0.6
            at = report.occurred_at + random.randint(0, 2) * timedelta(hours=1) if gone else None
            report = replace(report, deletion="deleted" if gone else "restored", deleted_at=at)
        return report, day

    def _identifiers(self, preset: Preset) -> tuple[Identifier, ...]:
        random = self.random
        email = BLOCKED if random.random() < 0.03 else f"e{random.randint(1, 5)}@shop.example"
        whole: dict[str, Identifier] = {
            "customer_id": ("customer_id", f"c{random.randint(1, 4)}"),
            "email": ("email", email),
            "phone": ("phone", f"+141555526{random.randint(71, 73)}"),
            "anonymous_id": ("anonymous_id", f"a{random.randint(1, 7)}"),
        }
        if preset == "notifuse":
            return (whole["email"],)
        chances = {"customer_id": 0.35, "email": 0.35, "phone": 0.15, "anonymous_id": 0.6}
        if preset == "redo":
            chances = {"customer_id": 0.6, "email": 0.6, "phone": 0.2, "anonymous_id": 0}
        chosen = [identifier for kind, identifier in whole.items() if random.random() < chances[kind]]
        return tuple(chosen or [whole["customer_id" if preset == "redo" else "anonymous_id"]])

    def _properties(self) -> dict[str, Any]:
        random = self.random
        values = {
            "category": random.choice(("shoes", "hats")),
            "pages": random.randint(1, 3),
            "member": random.choice((True, False)),
            'a "quoted" key': random.choice(("x", "y")),
            "a.dotted $key": random.choice(("x", "ё", "'")),
            "tags": random.choice((["a"], ["a", "b"])),
        }
        return {name: value for name, value in values.items() if random.random() < 0.3}

    def _with_goal(self, report: Report, preset: Preset) -> Report:
        random = self.random
        value = random.choice((Decimal(10), Decimal("25.5"), Decimal("-4.25")))
        currency = random.choice((None, "EUR")) if preset != "notifuse" else None
        if report.event_name == ORDER:
            return replace(as_order(report, f"o{random.randint(1, 4)}", value), currency=currency)
        if preset == "redo" or random.random() < 0.4:
            return report
        goal = random.choice(("lead", "subscription"))
        told = value if goal == "subscription" or random.random() < 0.5 else None
        name = random.choice((None, "spring"))
        return replace(
            report, goal_type=goal, goal_name=name, value=told, currency=currency if told is not None else None
        )


def _edited(random: Random, report: Report) -> Report:
    if report.source != "crm" and random.random() < 0.5:
        return replace(report, identifiers=(("customer_id", f"c{random.randint(1, 4)}"),))
    return replace(report, occurred_at=FIRST + random.randint(0, 6) * timedelta(hours=7))
