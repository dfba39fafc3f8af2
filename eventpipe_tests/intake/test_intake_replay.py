"""Rejected lines judged again are, row for row, what they would have been from the start.

The exports are taken away first: what the lake keeps of a rejected line is enough. That a replay is seen in the published
tables is told in `pipeline/test_pipeline_replay.py`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from eventpipe.erasure.tombstones import NOBODY
from eventpipe.intake.replay import Replayed, Wanted, replay
from eventpipe.project.folder import Project
from eventpipe_tests.builders import NOW, event, export, lake_rows, land, ledger, lines, project

Record = dict[str, Any]
Source = Mapping[str, object]


def plan(total: str) -> list[Mapping[str, Any]]:
    return [
        {
            "name": "order.completed",
            "properties": [{"name": "total", "type": total, "required": True, "aliases": ["c5"]}],
        },
        {"name": "lead.made"},
    ]


WRONG, RIGHT = plan("number"), plan("string")
"""Every total is a word, so the wrong plan rejects all orders and the right one none of them."""

MAPPED: Source = {
    "identifiers": "optional",
    "map": {
        "event_name": "name",
        "customer_id": "who",
        "occurred_at": "at",
        "dedupe_key": "key",
    },
}
WORDS = ("ten", "twenty", 'a "dozen"', "ten,\ntwenty", 'an open " quote', "größer", "a;b\tc")


def records() -> list[Record]:
    """Orders and leads; some without a time that can be read, some without a key, some from nobody."""
    random = Random(1)
    return [
        {
            "name": random.choice(("order.completed", "order.completed", "lead.made")),
            "who": random.choice(("c1", "c2", "")),
            "at": random.choice(("2026-01-04T10:00:00Z", "2026-01-05T11:00:00.25Z", "never")),
            "key": random.choice(("", f"k{random.randint(1, 9)}")),
            "total": random.choice(WORDS),
        }
        for _ in range(60)
    ]


def written(entries: Sequence[Record], *, header: bool = True, **dialect: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(entries[0]), lineterminator="\n", **dialect)
    if header:
        writer.writeheader()
    writer.writerows(entries)
    # What no CSV reader takes: a quote that nobody closes, one that closes nothing, too many fields.
    return text.getvalue().encode() + b'order.completed,"c1,2026\nlead.made,c1",x\n\na,b,c,d,e,f,g\n\xff\xfe,1,2,3,4\n'


def parquet(entries: Sequence[Record]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(entries)), file)
    return file.getvalue()


def canonical(entries: Sequence[Record]) -> list[Record]:
    return [
        event(
            event_name=each["name"],
            customer_id=each["who"] or None,
            occurred_at=each["at"],
            dedupe_key=each["key"] or None,
            properties={"total": each["total"]},
        )
        for each in entries
    ]


def redo(entries: Sequence[Record]) -> list[Record]:
    return [
        {
            "eventName": each["name"],
            "customer": {"id": each["who"] or "c9"},
            "data": {"total": each["total"], "events": [1]},
            "eventTimestamp": each["at"],
        }
        for each in entries
    ]


def exploded(entries: Sequence[Record]) -> bytes:
    bodies = [{"who": "c7", "items": entries[n : n + 4]} for n in range(0, len(entries), 4)]
    return lines(*bodies, {"who": "c8"}, {"items": [1, None]})


NAMELESS = {
    **MAPPED,
    "csv": {"header": False},
    "map": {
        "event_name": "c1",
        "customer_id": "c2",
        "occurred_at": "c3",
        "dedupe_key": "c4",
    },
}

EXPORTS: Mapping[str, tuple[str, Source, Callable[[list[Record]], bytes]]] = {
    "lines": (
        "a.jsonl",
        {"preset": "canonical"},
        lambda each: lines(*canonical(each), "{", b"\xff", "[1]", '{"event_name": NaN}', "", "null"),
    ),
    "keys that are given twice": (
        "a.jsonl",
        {"preset": "canonical"},
        lambda each: lines(*[json.dumps(one)[:-1] + ', "event_name": "x"}' for one in canonical(each)]),
    ),
    "compressed lines": ("a.jsonl.gz", {"preset": "canonical"}, lambda each: gzip.compress(lines(*canonical(each)))),
    "a document": ("a.json", {"preset": "canonical"}, lambda each: json.dumps([*canonical(each), 1, None]).encode()),
    "batch bodies": (
        "a.jsonl",
        {"preset": "redo"},
        lambda each: lines(*({"events": redo(each[n : n + 5])} for n in range(0, 60, 5)), redo(each)[0], "{"),
    ),
    "a list in each record": ("a.jsonl", {**MAPPED, "explode": "items"}, exploded),
    "csv": ("a.csv", MAPPED, written),
    "csv without a header": ("a.csv", NAMELESS, lambda each: written(each, header=False)),
    "csv of another dialect": (
        "a.txt",
        {**MAPPED, "csv": {"delimiter": ";", "quote": "'"}},
        lambda each: written(each, delimiter=";", quotechar="'"),
    ),
    "tabs": ("a.tsv", MAPPED, lambda each: written(each, delimiter="\t")),
    "parquet": ("a.parquet", MAPPED, parquet),
}


def landed(folder: Path, kind: str, events: Sequence[Mapping[str, Any]]) -> Project:
    name, source, content = EXPORTS[kind]
    made = project(folder, sources={"web": source}, events=events)
    export(made, content(records()), name=name)
    land(made)
    return made


def redefined(made: Project, kind: str, events: Sequence[Mapping[str, Any]]) -> Project:
    """The same project with other definitions, and without its exports."""
    shutil.rmtree(made.exports, ignore_errors=True)
    return project(made.root, sources={"web": EXPORTS[kind][1]}, events=events)


def replayed(made: Project, **wanted: Any) -> list[Replayed]:
    return replay(made, Wanted(**wanted), NOW, tombstones=NOBODY)


def figures(made: Project) -> tuple[int, int, int, int]:
    [manifest] = ledger(made).values()
    return manifest.lines, manifest.accepted, manifest.rejected, manifest.blank


def schema(made: Project) -> pa.Schema:
    [file] = made.lake.glob("*/*/*.parquet")
    return pq.read_schema(file)


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_lake_is_what_it_would_have_been(tmp_path: Path, kind: str) -> None:
    right = landed(tmp_path / "right", kind, RIGHT)
    late = landed(tmp_path / "late", kind, WRONG)
    before = lake_rows(late)
    assert before.filter(pl.col("status") == "rejected").height > 20
    late = redefined(late, kind, RIGHT)
    [done] = replayed(late)
    assert done.changed
    assert done.accepted > 10
    assert_frame_equal(lake_rows(late), lake_rows(right))
    assert figures(late) == figures(right)
    assert schema(late) == schema(right), "a scan of the whole lake relies on any one of its files"
    assert [each.changed for each in replayed(late)] == [False]
    assert_frame_equal(lake_rows(late), lake_rows(right))
    assert not list(late.lake.rglob("*.tmp"))


def test_a_record_that_another_dialect_takes_apart_stays_rejected(tmp_path: Path) -> None:
    made = landed(tmp_path, "csv", WRONG)
    source = {**MAPPED, "csv": {"quote": "'"}}
    made = project(tmp_path, sources={"web": source}, events=RIGHT)
    assert [each.changed for each in replayed(made)] == [True]
    rows = lake_rows(made)
    assert rows.select("line").is_unique().all()
    apart = rows.filter(pl.col("raw").str.contains("\n"))
    assert apart["reasons"].to_list() == [["csv.columns"]] * apart.height
    assert apart.height > 0


def test_a_line_that_turns_out_to_hold_no_event_is_blank(tmp_path: Path) -> None:
    """A list of events that is empty: of a source that is said to send lists only after it has sent some."""
    bodies = lines({"events": [{"name": "a", "who": "c1"}, {"name": "b", "who": "c1"}]}, {"events": []}, "{")

    def shop(name: str, **source: object) -> Project:
        map = {"event_name": "name", "customer_id": "who"}
        return project(tmp_path / name, sources={"web": {"map": map, **source}})

    late, right = shop("late"), shop("right", explode="events")
    for each in (late, right):
        export(each, bodies)
        land(each)
    assert figures(late) == (3, 0, 3, 0)
    late = shop("late", explode="events")
    assert [each.changed for each in replayed(late)] == [True]
    assert figures(late) == figures(right) == (4, 2, 1, 1)
    assert_frame_equal(lake_rows(late), lake_rows(right))
    assert [each.changed for each in replayed(late)] == [False]


def test_what_is_known_of_a_faulty_line_does_not_hang_on_the_others_of_its_file(tmp_path: Path) -> None:
    """A batch body makes the whole export be read another way."""
    faulty: list[str] = [
        '{"event_name": "deep", "p": ' + "[" * 40 + "]" * 40 + "}",
        '{"event_name": "nan", "v": NaN}',
        "{",
    ]
    batch = {"events": [event()]}
    found = []
    contents: list[list[Any]] = [faulty, [*faulty, batch]]
    for number, content in enumerate(contents):
        made = project(tmp_path / str(number))
        export(made, lines(*content))
        land(made)
        found.append(lake_rows(made).filter(pl.col("status") == "rejected")["event_name"].to_list())
        assert [each.changed for each in replayed(made)] == [False]
    assert found[0] == found[1]
    assert found[0][0] == "deep"


def test_names_count_against_the_limit_as_if_the_file_were_there(tmp_path: Path) -> None:
    """A name that a definition lists is let in by it; the others stay what the limit made of them."""
    limits = {"event_names": 2}
    sent = [event(event_name=name) for name in ("one", "two", "three", "four", "one", "three")]
    made = project(tmp_path, limits=limits)
    export(made, sent)
    land(made)
    assert lake_rows(made)["status"].to_list() == [*["accepted"] * 2, *["rejected"] * 2, "accepted", "rejected"]
    assert [each.changed for each in replayed(made)] == [False]
    made = project(tmp_path, limits=limits, events=[{"name": "three"}])
    assert [(each.changed, each.lines, each.accepted) for each in replayed(made)] == [(True, 3, 2)]
    assert lake_rows(made)["status"].to_list() == [*["accepted"] * 3, "rejected", *["accepted"] * 2]


def test_lines_of_which_the_lake_has_no_whole_text_are_left_alone(tmp_path: Path) -> None:
    made = project(tmp_path, limits={"line_bytes": 200})
    export(made, lines(event(event_name="x" * 300), b"\xff\xfe", "{"))
    land(made)
    assert lake_rows(made)["reasons"].to_list() == [["line.too_long"], ["encoding.invalid"], ["json.invalid"]]
    made = project(tmp_path)
    assert [(each.lines, each.changed) for each in replayed(made)] == [(1, False)]


def test_a_file_that_is_another_one_now_is_left_to_the_next_run(tmp_path: Path) -> None:
    order = event(event_name="order.completed", properties={"total": "ten"})
    made = project(tmp_path, events=WRONG)
    export(made, [order])
    land(made)
    made = project(tmp_path, events=RIGHT)
    export(made, [order, event()])
    assert [each.accepted for each in replayed(made)] == [1]
    assert lake_rows(made).height == 1
    assert land(made)["events.jsonl"].outcome == "replaced"
    assert lake_rows(made)["status"].to_list() == ["accepted", "accepted"]


def test_only_what_is_asked_for_is_judged_again(tmp_path: Path) -> None:
    order = event(event_name="order.completed", properties={"total": "ten"})
    made = project(tmp_path, events=WRONG)
    early, late = date(2026, 1, 5), date(2026, 1, 7)
    for day in (early, late):
        export(made, [order, order | {"occurred_at": "no time"}], day=day)
    land(made)
    made = project(tmp_path, events=RIGHT)
    files = {path.parent.name: path.name for path in made.lake.glob("*/*/*.parquet")}
    assert replayed(made, event="lead.made") == []
    assert replayed(made, reason="identifier.missing") == []
    [done] = replayed(made, reason="property.type", since=date(2026, 1, 6))
    assert (str(done.manifest.key), done.lines, done.accepted) == ("web/2026-01-07/events.jsonl", 2, 1)
    judged = lake_rows(made).select("landed_on", "line", "status").rows()
    assert judged == [(early, 1, "rejected"), (early, 2, "rejected"), (late, 1, "accepted"), (late, 2, "rejected")]
    now = {path.parent.name: path.name for path in made.lake.glob("*/*/*.parquet")}
    assert now[str(early)] == files[str(early)]
    assert now[str(late)] != files[str(late)]
    [done] = replayed(made, reason="property.type:total", event="order.completed")
    assert (str(done.manifest.key), done.lines, done.accepted) == ("web/2026-01-05/events.jsonl", 2, 1)


def test_what_was_accepted_stays_as_it_was_judged(tmp_path: Path) -> None:
    made = project(tmp_path, events=RIGHT)
    export(made, lines(event(event_name="order.completed", properties={"total": "ten"}), "{"))
    land(made)
    before = lake_rows(made)
    made = project(tmp_path, events=WRONG)  # it would reject the order
    assert [each.changed for each in replayed(made)] == [False]
    assert_frame_equal(lake_rows(made), before)
