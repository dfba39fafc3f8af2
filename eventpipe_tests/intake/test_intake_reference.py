"""Random exports against the slow reference: every row, and every reason to reject one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from eventpipe_tests.builders import export, lake_rows, land
from eventpipe_tests.intake.random_exports import Export, World, world
from eventpipe_tests.intake.reference.judged import Judged
from eventpipe_tests.intake.reference.lines import Line
from eventpipe_tests.intake.reference.values import Number, dump, load

Place = tuple[str, date, str, int, int | None]
Row = dict[str, Any]
_JSON = ("properties", "extra", "traits", "identifiers")
_SHOWN = 10


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 200))])
def test_every_row_and_every_reason(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    made = world(random, records=50)
    shop = made.project(tmp_path)

    def put(exports: Iterable[Export]) -> None:
        paths = [export(shop, each.content, source=each.source, day=each.landed_on, name=each.name) for each in exports]
        land(shop)
        for path in random.sample(paths, len(paths) // 4):
            path.unlink()  # what was deleted stays in the lake

    put(made.before(random))
    put(made.exports)
    rows = lake_rows(shop)
    assert_same(made, found(rows), expected(made))
    assert found_events(rows) == expected_events(made)


def place(file: Export, line: Line) -> Place:
    return file.source, file.landed_on, file.name, line.line, line.index


def expected_events(made: World) -> set[frozenset[Place]]:
    """The reports of each event: those of one key, or one without a key."""
    events: dict[object, set[Place]] = defaultdict(set)
    for file, line, row in made.judged():
        if not row.reasons:
            scope = row.event_name if file.source == "crm" else ""
            key = row.dedupe_key and (row.workspace_id, file.source, scope, row.dedupe_key)
            events[key or place(file, line)].add(place(file, line))
    return set(map(frozenset, events.values()))


def found_events(rows: pl.DataFrame) -> set[frozenset[Place]]:
    """The same by the ids in the lake."""
    accepted = rows.filter(status="accepted").select("event_id", "source", "landed_on", "file", "line", "index")
    events: dict[str, set[Place]] = defaultdict(set)
    for event_id, source, day, file, line, index in accepted.iter_rows():
        events[event_id].add((source, day, file, line, index))
    return set(map(frozenset, events.values()))


def expected(made: World) -> dict[Place, Row]:
    """What the reference says."""
    return {place(file, line): shown(vars(row)) for file, line, row in made.judged()}


def found(rows: pl.DataFrame) -> dict[Place, Row]:
    """What the lake says."""
    return {
        (row["source"], row["landed_on"], row["file"], row["line"], row["index"]): shown(
            {
                each.name: load(row[each.name]) if each.name in _JSON and row[each.name] else row[each.name]
                for each in fields(Judged)
            }
        )
        for row in rows.iter_rows(named=True)
    }


def shown(row: Row) -> Row:
    """What of a row is compared: of a rejected line its reasons, of an event all that it says."""
    if row["reasons"]:
        return {"reasons": sorted(row["reasons"])}
    sets = {name: sorted(row[name] or []) for name in ("reasons", "violations", "flags")}
    return {name: plain(value) for name, value in row.items() if value is not None and value != []} | sets


def plain(value: Any) -> Any:
    """JSON with numbers that can be compared."""
    match value:
        case Number():
            return float(value)
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value


def assert_same(made: World, rows: dict[Place, Row], wanted: dict[Place, Row]) -> None:
    """Fails with the lines that differ, and in what."""
    records = {place(file, line): line.record for file, line, _ in made.judged()}
    wrong = [each for each in wanted | rows if rows.get(each) != wanted.get(each)]
    told = [
        f"{each} {dump(records.get(each))}\n  found    {_beside(rows.get(each), wanted.get(each))}"
        f"\n  expected {_beside(wanted.get(each), rows.get(each))}"
        for each in wrong[:_SHOWN]
    ]
    assert not wrong, f"{len(wrong)} of {len(wanted)} differ:\n" + "\n".join(told)


def _beside(one: Row | None, other: Row | None) -> Row | None:
    """What a row says otherwise than the other."""
    if one is None or other is None:
        return one
    return {name: value for name, value in one.items() if name not in other or other[name] != value}
