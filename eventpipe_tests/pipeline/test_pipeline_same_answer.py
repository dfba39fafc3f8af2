"""Promise 2: any order, cut, repetition or interruption of the same exports, and a full rebuild, give equal tables.

Every run of a history is also held against the oracle, which reads docs/data-shapes.md and docs/identity.md word by word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest

from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.agreement import assert_agrees
from eventpipe_tests.pipeline.histories import detours, folder_after, put
from eventpipe_tests.pipeline.published import Tables, assert_same
from eventpipe_tests.pipeline.reports import Report
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.pipeline.worlds import AS_OF, Exports, FileKey

EARLY, MIDDLE, LATE = AS_OF
_PLACES = ("file", "line", "index")


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))])
def test_however_the_exports_arrive(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    exports = worlds.exports(random, worlds=24, reports=36, names="ab")
    arriving = Shop(worlds.project(tmp_path / "arriving"))
    for step, folder in folder_after(detours(random, exports, (EARLY, MIDDLE, MIDDLE, LATE))):
        put(arriving, step.files)
        tables = arriving.run(step.as_of)
        assert_agrees(tables, worlds.oracle(folder, step.as_of))
    at_once = Shop(worlds.project(tmp_path / "at-once"))
    put(at_once, exports)
    expected = at_once.run(LATE)
    assert_same(tables, expected, by=("arriving in steps", "in one go"))
    assert_same(at_once.run(LATE), expected, by=("run twice", "run once"))
    assert_same(arriving.run(LATE, full_refresh=True), expected, by=("rebuilt", "in one go"))


def test_as_of_goes_back_and_forth(tmp_path: Path) -> None:
    """Events after `as_of` count nowhere and count when it passes them; an older one is answered from scratch."""
    exports = worlds.exports(Random(21), worlds=20, reports=30)
    shop = Shop(worlds.project(tmp_path))
    put(shop, exports)
    seen: dict[object, Tables] = {}
    for as_of in (MIDDLE, LATE, EARLY, MIDDLE):
        tables = shop.run(as_of)
        assert_agrees(tables, worlds.oracle(exports, as_of))
        assert_same(tables, seen.setdefault(as_of, tables), by=("coming back", "coming first"))


def test_however_the_exports_are_cut(tmp_path: Path) -> None:
    """The same lines in the same order in other files, and all of them once more on a later day."""
    random = Random(31)
    exports = keyed(worlds.exports(random, worlds=24, reports=36, names="ab"))
    as_sent, cut = Shop(worlds.project(tmp_path / "sent")), Shop(worlds.project(tmp_path / "cut"))
    put(as_sent, exports)
    put(cut, cut_anew(random, exports))
    expected = as_sent.run(LATE)
    assert_same(without_places(cut.run(LATE)), without_places(expected), by=("cut anew", "as sent"))

    # Said again, a deletion or restoration is one more entry on the timeline, but nobody's numbers change. With
    # `compat: notifuse` saying a thing again is no repetition: what does not delete restores.
    said = {key: reports for key, reports in exports.items() if key[0] != "mirror"}
    told, again = Shop(worlds.project(tmp_path / "told")), {**said, **said_again(said)}
    put(told, said)
    expected = told.run(LATE)
    put(told, again)
    repeated = told.run(LATE)
    assert_agrees(repeated, worlds.oracle(again, LATE))
    for name in ("contacts", "contact_goals", "contact_identifiers"):
        assert_same({name: repeated[name]}, {name: expected[name]}, by=("said twice", "said once"))


def keyed(exports: Exports) -> Exports:
    """Reports with a dedupe key, for events without one are bound to their file and line; and no two sources of equal
    authority, for between those the file and line decide.
    """
    return {
        key: tuple(replace(report, key=report.key or "k0") for report in reports)
        for key, reports in exports.items()
        if key[0] != "shop"
    }


def cut_anew(random: Random, exports: Exports) -> Exports:
    """What landed of a source on a day, in the same order, in one to five other files."""
    days: dict[tuple[str, date], list[Report]] = {}
    for (source, day, _), reports in sorted(exports.items()):
        days.setdefault((source, day), []).extend(reports)
    found: dict[FileKey, tuple[Report, ...]] = {}
    for (source, day), landed in days.items():
        cuts = sorted(random.sample(range(1, len(landed)), random.randint(0, 4)))
        for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(landed)], strict=True)):
            found[source, day, f"part-{number}.jsonl"] = tuple(landed[start:end])
    return found


def said_again(exports: Exports) -> Exports:
    """Everything once more, in the same order, on the day after the last."""
    everything: dict[str, list[Report]] = {}
    for (source, _, _), reports in sorted(exports.items()):
        everything.setdefault(source, []).extend(reports)
    return {(source, date(2026, 1, 9), "again.jsonl"): tuple(lines) for source, lines in everything.items()}


def without_places(tables: Tables) -> Tables:
    """What does not tell of files."""
    told: Mapping[str, object] = {"ledger": None}
    return {name: table.without(*_PLACES) for name, table in tables.items() if name not in told}
