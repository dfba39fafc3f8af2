"""Which files a run takes, and how they are opened."""

from __future__ import annotations

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from eventpipe.erasure.tombstones import NOBODY
from eventpipe.errors import EventpipeError
from eventpipe.intake import land as landing
from eventpipe.intake import stream
from eventpipe.intake.exports import Selection, strangers
from eventpipe.intake.lake import parquet
from eventpipe.warehouse.database import connect
from eventpipe_tests.builders import (
    DAY,
    NOW,
    event,
    export,
    lake_rows,
    land,
    landed,
    ledger,
    lines,
    project,
)
from eventpipe_tests.intake.arranged import (
    CONTENT,
    called,
    parquet_bytes,
    refusal,
    zstd,
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", CONTENT),
        ("a.ndjson", CONTENT),
        ("A.JSONL", CONTENT),
        ("a.jsonl.gz", gzip.compress(CONTENT)),
        ("two members.jsonl.gz", gzip.compress(CONTENT[:100]) + gzip.compress(CONTENT[100:])),
        ("a.jsonl.zst", zstd(CONTENT)),
        ("two frames.jsonl.zst", zstd(CONTENT[:100]) + zstd(CONTENT[100:])),
        ("a.json", json.dumps([event(), event(customer_id="c2")]).encode()),
        ("a.json.gz", gzip.compress(CONTENT)),
        ("a.csv", b"event_name,customer_id\na,c1\na,c2\n"),
        ("a.csv.gz", gzip.compress(b"event_name,customer_id\na,c1\na,c2\n")),
        ("a.tsv", b"event_name\tcustomer_id\na\tc1\na\tc2\n"),
        ("a.parquet", parquet_bytes(event_name=["a", "a"], customer_id=["c1", "c2"])),
    ],
    ids=called,
)
def test_the_ending_tells_how_a_file_is_opened(name: str, content: bytes, tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, content, name=name)
    rows = landed(made)
    assert rows["customer_id"].to_list() == ["c1", "c2"]
    assert set(rows["file"]) == {name}


def test_the_format_of_a_source_wins_over_the_ending(tmp_path: Path) -> None:
    made = project(tmp_path, sources={"web": {"preset": "canonical", "format": "jsonl"}})
    export(made, CONTENT, name="export.log")
    export(made, gzip.compress(CONTENT), name="export.txt.gz")
    assert landed(made).height == 4


@pytest.mark.parametrize("name", ["notes.md", "noending", "archive.zip", "a.gz", "a.parquet.gz"])
def test_an_ending_that_says_nothing_is_refused(name: str, tmp_path: Path) -> None:
    assert refusal(project(tmp_path), b"anything", name) == "file.format"


def test_a_csv_export_of_a_source_whose_records_hold_lists_is_refused(tmp_path: Path) -> None:
    """Its rows would each be one event, and their lists be lost."""
    made = project(tmp_path, sources={"web": {"explode": "events", "map": {"event_name": "events.name"}}})
    assert refusal(made, b"id,events\n1,2\n", "a.csv") == "file.format"


@pytest.mark.parametrize(
    "name",
    ["a.jsonl.tmp", "a.jsonl.part", "a.jsonl.done", ".a.jsonl", "_SUCCESS", "a.jsonl~", "a.crdownload"],
)
def test_what_is_not_complete_or_no_export_is_left_alone(name: str, tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT, name=name)
    assert land(made) == {}


def test_folders_that_are_no_date_and_sources_that_are_not_configured_are_left_alone(tmp_path: Path) -> None:
    made = project(tmp_path)
    for folder in (
        "web/2026-1-5",
        "web/2026-02-30",
        "web/0001-01-01",
        "web/9999-12-31",
        "web/archive",
        "other/2026-01-05",
        "web/2026-01-05/deeper",
    ):
        path = made.exports / folder / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(CONTENT)
    assert land(made) == {}


def test_an_exports_folder_that_is_not_there_is_no_quiet_day(tmp_path: Path) -> None:
    made = project(tmp_path)
    made.exports.rmdir()
    with pytest.raises(EventpipeError, match="is that mounted"):
        land(made)
    made.exports.symlink_to(tmp_path / "unmounted")
    with pytest.raises(EventpipeError, match="is that mounted"):
        land(made)


def test_what_no_run_will_ever_read_is_named(tmp_path: Path) -> None:
    made = project(tmp_path)
    for folder in ("web/2026-01-05/13", "web/2026-1-5", "web/9999-12-31", "other/2026-01-05", ".hidden"):
        (made.exports / folder).mkdir(parents=True)
    for name in (".DS_Store", "_orders.jsonl", "a.jsonl.part", "a.jsonl", "a.jsonl.done"):
        (made.exports / "web/2026-01-05" / name).write_bytes(CONTENT)
    (made.exports / "web/2026-01-05/_SUCCESS").touch()
    files = ["web/2026-01-05/_orders.jsonl", "web/2026-01-05/a.jsonl.part"]
    unread = ["other", "web/2026-01-05/13", *files, "web/2026-1-5", "web/9999-12-31"]
    assert strangers(made.exports, frozenset(made.profiles)) == unread
    assert strangers(tmp_path / "nowhere", frozenset()) == []


def test_an_empty_exports_folder_is_nothing_to_land(tmp_path: Path) -> None:
    assert land(project(tmp_path)) == {}


def test_only_the_selected_landing_dates_are_read(tmp_path: Path) -> None:
    made = project(tmp_path)
    for number in range(4):
        export(made, CONTENT, name=f"{number}.jsonl", day=DAY + timedelta(days=number))
    chosen = landing.land_exports(
        made, Selection(DAY + timedelta(days=1), DAY + timedelta(days=2)), NOW, tombstones=NOBODY
    )
    assert [each.key.file for each in chosen] == ["1.jsonl", "2.jsonl"]


@pytest.mark.parametrize(
    "name",
    [
        "a b.jsonl",
        "it's.jsonl",
        '"q".jsonl',
        "a[1].jsonl",
        "a*?.jsonl",
        "dt=1.jsonl",
        "ünï.jsonl",
        "$x{y}%s.jsonl",
        "n" * 240 + ".jsonl",
    ],
)
def test_any_file_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT, name=name)
    assert set(landed(made)["file"]) == {name}
    assert land(made)[name].outcome == "unchanged"


def test_a_parquet_export_in_a_folder_like_a_pattern_is_read_alone_and_gives_no_column(
    tmp_path: Path,
) -> None:
    made = project(tmp_path / "env=prod" / "shop[a]")
    for name in ("[a].parquet", "a.parquet"):
        export(made, parquet_bytes(event_name=["a"], customer_id=[name]), name=name)
    rows = landed(made)
    assert rows["customer_id"].to_list() == ["[a].parquet", "a.parquet"]
    assert "env" not in json.dumps(rows.select("properties").to_dicts())
    with connect(made) as working:
        read = working.execute(f"select count(*) from {parquet(made.lake.rglob('*.parquet'))}").fetchone()
    assert read == (2,)


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path)
    path = export(made, CONTENT)
    path.rename(path.with_name(os.fsdecode(b"caf\xe9.jsonl")))
    export(made, CONTENT)
    outcomes = {name: each.outcome for name, each in land(made).items()}
    assert outcomes == {"caf\\xe9.jsonl": "refused", "events.jsonl": "landed"}


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_size_of_the_chunks_that_are_read_makes_no_difference(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    json_lines = b"\xef\xbb\xbf" + lines(event(), "", event(email="é@b.co"), b"\xff", "no").replace(b"\n", b"\r\n")
    table = b'event_name,customer_id,note\r\na,1,"two\r\nlines"\r\nb,2\r\n\r\nc,3,\xff\r\nd,4,x'
    files = {
        "a.jsonl": json_lines,
        "a.jsonl.gz": gzip.compress(json_lines),
        "lines.json": json_lines,
        "list.json": json.dumps([event(), event()]).encode(),
        "body.json": json.dumps({"events": [event(), 1]}, indent=1).encode(),
        "a.csv": table,
        "a.csv.gz": gzip.compress(table),
    }
    whole, cut = project(tmp_path / "whole"), project(tmp_path / "cut")
    for made in (whole, cut):
        for name, content in files.items():
            export(made, content, name=name)
    expected = landed(whole)
    monkeypatch.setattr(stream, "CHUNK_BYTES", size)
    assert landed(cut).equals(expected)
    assert {name: each.lines for name, each in ledger(cut).items()} == {
        name: each.lines for name, each in ledger(whole).items()
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b""),
        ("a.csv", b""),
        ("a.json", b""),
        ("a.json", b"[]"),
        ("a.jsonl.gz", gzip.compress(b"")),
        ("a.csv", b"event_name,customer_id\n"),
        ("a.csv", b"event_name,customer_id"),
        ("a.parquet", parquet_bytes(event_name=pa.array([], pa.string()))),
    ],
    ids=called,
)
def test_an_empty_export_is_reported_and_no_error(name: str, content: bytes, tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, content, name=name)
    assert land(made)[name].outcome == "landed"
    manifest = ledger(made)[name]
    assert (manifest.status, manifest.lines, manifest.accepted) == ("loaded", 0, 0)
    assert lake_rows(made).is_empty()
