"""Whatever the presets and mappings of all sources make of random exports: what the intake's reference judges, put
together by the oracle of versions, orders and people, is what the tables say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventpipe_tests.identity.crowds import DEFAULT
from eventpipe_tests.intake.random_exports import World, world
from eventpipe_tests.intake.reference.judged import Judged
from eventpipe_tests.intake.reference.lines import Line
from eventpipe_tests.intake.reference.values import dump
from eventpipe_tests.pipeline.agreement import assert_agrees
from eventpipe_tests.pipeline.oracle import Oracle, Source
from eventpipe_tests.pipeline.published import Tables
from eventpipe_tests.pipeline.reports import Landed, Place, Report
from eventpipe_tests.pipeline.shop import Shop

AS_OF = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_sources_send(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    made = world(random, records=15)
    shop = Shop(made.project(tmp_path))
    for each in made.before(random):
        shop.put(each.source, each.landed_on.isoformat(), each.name, each.content)
    shop.run(AS_OF)
    for each in made.exports:
        shop.put(each.source, each.landed_on.isoformat(), each.name, each.content)
    tables = shop.run(AS_OF)
    assert sorted(rejected(tables)) == sorted(
        (place, sorted(row.reasons)) for place, _, row in places(made) if row.reasons
    )
    assert_agrees(tables, oracle(made))


def rejected(tables: Tables) -> Iterator[tuple[Place, list[str]]]:
    for record in tables["rejected_events"].records():
        place = Place(record["landed_on"], record["file"], record["line"], record["source"], record["index"] or 0)
        yield place, sorted(record["reasons"])


def places(made: World) -> Iterator[tuple[Place, Line, Judged]]:
    for export, line, row in made.judged():
        yield Place(export.landed_on, export.name, line.line, export.source, line.index or 0), line, row


def oracle(made: World) -> Oracle:
    landed = [Landed(place, report(place.source, row)) for place, _, row in places(made) if not row.reasons]
    deduped = [each["name"] for each in made.definitions if "dedupe_on" in each]
    return Oracle(
        landed, AS_OF, {name: source(entry) for name, entry in made.sources.items()}, DEFAULT, deduped=deduped
    )


def source(entry: Mapping[str, Any]) -> Source:
    updates = entry.get("preset") == "notifuse"
    return Source(
        on_conflict="latest_wins" if updates else "first_wins",
        authority=entry.get("authority", 0),
        key_scope="event_name" if updates else "none",
    )


def report(source: str, row: Judged) -> Report:
    assert row.workspace_id
    assert row.event_name
    assert row.occurred_at
    return Report(
        world=row.workspace_id,
        source=source,
        event_name=row.event_name,
        occurred_at=row.occurred_at,
        identifiers=tuple(row.identifiers),
        key=row.dedupe_key,
        order_id=row.order_id,
        order_key=row.order_key,
        goal_type=row.goal_type,
        goal_name=row.goal_name,
        value=row.value,
        currency=row.currency,
        properties=json.loads(dump(row.properties or {})),
        deletion=row.deletion,
        deleted_at=row.deleted_at,
    )
