"""One export file is the unit of work: taken whole, left, or refused (spec 1, section 2; spec 5, faults)."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventpipe.errors import EventpipeError
from eventpipe.intake import land as landing
from eventpipe.intake import stream
from eventpipe.intake.exports import Selection, strangers
from eventpipe.intake.lake import Lake
from eventpipe.project.folder import Project
from eventpipe_tests.builders import (
    DAY,
    NOW,
    accepted,
    event,
    export,
    judged,
    lake_rows,
    land,
    landed,
    ledger,
    lines,
    project,
    quiet_since,
    reasons,
)

CONTENT = lines(event(), event(customer_id="c2"))


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as compressed:
        compressed.write(content)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def parquet_bytes(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def data_files(made: Project) -> list[str]:
    return sorted(path.name for path in made.lake.glob("*/*/*.parquet"))


def called(value: object) -> str:
    """The name of a case: compressed bytes are not the same in every process."""
    return value if isinstance(value, str) else "content"


def refusal(made: Project, content: bytes, name: str) -> str | None:
    export(made, content, name=name)
    outcome = land(made)[name]
    manifest = ledger(made)[name]
    assert outcome.outcome == manifest.status == "refused"
    assert (manifest.lines, manifest.accepted, manifest.rejected, manifest.data) == (0, 0, 0, None)
    assert manifest.detail
    assert lake_rows(made).is_empty()
    return manifest.reason


# --- which files, and how they are opened ---


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
        "web/archive",
        "other/2026-01-05",
        "web/2026-01-05/deeper",
    ):
        path = made.exports / folder / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(CONTENT)
    assert land(made) == {}


def test_folders_that_no_run_will_ever_read_are_named(tmp_path: Path) -> None:
    made = project(tmp_path)
    for folder in ("web/2026-01-05", "web/2026-1-5", "other/2026-01-05", ".hidden"):
        (made.exports / folder).mkdir(parents=True)
    assert strangers(made.exports, frozenset(made.profiles)) == ["other", "web/2026-1-5"]
    assert strangers(tmp_path / "nowhere", frozenset()) == []


def test_without_an_exports_folder_there_is_nothing_to_land(tmp_path: Path) -> None:
    assert land(project(tmp_path)) == {}


def test_only_the_selected_landing_dates_are_read(tmp_path: Path) -> None:
    made = project(tmp_path)
    for number in range(4):
        export(made, CONTENT, name=f"{number}.jsonl", day=DAY + timedelta(days=number))
    chosen = landing.land_exports(made, Selection(DAY + timedelta(days=1), DAY + timedelta(days=2)), NOW)
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


# --- refused whole ---


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl.gz", gzip.compress(CONTENT)[:-20], "file.truncated"),
        ("a.jsonl.gz", gzip.compress(CONTENT)[:-4], "file.truncated"),
        (
            "a.jsonl.gz",
            gzip.compress(CONTENT)[:-8] + b"\0\0\0\0" + gzip.compress(CONTENT)[-4:],
            "file.corrupt",
        ),
        ("a.jsonl.gz", gzip.compress(CONTENT)[:-4] + b"\1\0\0\0", "file.corrupt"),
        (
            "a.jsonl.gz",
            gzip.compress(CONTENT)[:30] + b"\xff" * 30 + gzip.compress(CONTENT)[60:],
            "file.corrupt",
        ),
        ("a.jsonl.gz", CONTENT, "file.corrupt"),
        ("a.jsonl.gz", b"", "file.truncated"),
        ("a.jsonl.zst", zstd(CONTENT)[:-5], "file.truncated"),
        ("a.jsonl.zst", CONTENT, "file.corrupt"),
        ("a.json.gz", gzip.compress(CONTENT)[:-20], "file.truncated"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 1000)[:-20], "file.truncated"),
        ("a.parquet", parquet_bytes(event_name=["a"])[:-10], "file.corrupt"),
        ("a.parquet", CONTENT, "file.corrupt"),
        ("a.parquet", b"", "file.corrupt"),
    ],
    ids=called,
)
def test_a_damaged_file_is_refused_whole_with_the_reason(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    assert refusal(project(tmp_path), content, name) == reason


def test_a_parquet_file_with_a_damaged_page_is_refused(tmp_path: Path) -> None:
    content = bytearray(parquet_bytes(event_name=[f"event {n}" for n in range(5000)], customer_id=["c"] * 5000))
    content[20:4000] = os.urandom(3980)
    assert refusal(project(tmp_path), bytes(content), "a.parquet") == "file.corrupt"


def test_a_refused_file_costs_no_other(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, gzip.compress(CONTENT)[:-20], name="a.jsonl.gz")
    export(made, CONTENT, name="b.jsonl")
    assert landed(made).height == 2


@pytest.mark.parametrize("limit", ["ratio", "bytes"])
def test_a_decompression_bomb_is_refused(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RATIO_COUNTS_FROM", 1 << 20)
    limits = {"expanded_bytes": "2MiB"} if limit == "bytes" else {}
    bomb = gzip.compress(b'{"event_name": "a"}' + b" " * (9 << 20) + b"\n")
    assert refusal(project(tmp_path, limits=limits), bomb, "a.jsonl.gz") == "file.bomb"


def test_a_small_file_may_shrink_well(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, gzip.compress(lines(*[event()] * 20_000)), name="a.jsonl.gz")
    assert landed(made).height == 20_000


def test_links_out_of_the_exports_folder_are_refused(tmp_path: Path) -> None:
    made = project(tmp_path / "shop")
    secret = tmp_path / "secret.jsonl"
    secret.write_bytes(CONTENT)
    folder = export(made, CONTENT, name="own.jsonl").parent
    (folder / "file.jsonl").symlink_to(secret)
    (folder / "folder.jsonl").symlink_to(tmp_path)
    (folder / "broken.jsonl").symlink_to(tmp_path / "nothing.jsonl")
    (folder / "up.jsonl").symlink_to("../../../../secret.jsonl")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "day.jsonl").write_bytes(CONTENT)
    (made.exports / "web" / "2026-01-04").symlink_to(outside)
    os.mkfifo(folder / "pipe.jsonl")
    land(made)
    found = ledger(made)
    assert found.pop("own.jsonl").status == "loaded"
    assert {each.reason for each in found.values()} == {"file.symlink"}
    assert set(found) == {"file.jsonl", "folder.jsonl", "broken.jsonl", "up.jsonl", "day.jsonl", "pipe.jsonl"}
    assert lake_rows(made).height == 2


def test_a_link_inside_the_exports_folder_is_followed_and_changes_with_its_target(tmp_path: Path) -> None:
    made = project(tmp_path)
    target = export(made, CONTENT, name="a.jsonl")
    link = target.with_name("b.jsonl")
    link.symlink_to("a.jsonl")
    assert landed(made).height == 4
    target.write_bytes(CONTENT + lines(event()))
    assert {name: each.outcome for name, each in land(made).items()} == {
        "a.jsonl": "replaced",
        "b.jsonl": "replaced",
    }


def test_a_link_to_nothing_is_refused_and_read_when_there_is_something(tmp_path: Path) -> None:
    made = project(tmp_path)
    target = export(made, CONTENT, name="a.jsonl")
    target.unlink()
    target.with_name("b.jsonl").symlink_to("a.jsonl")
    assert land(made)["b.jsonl"].outcome == "refused"
    export(made, CONTENT, name="a.jsonl")
    assert land(made)["b.jsonl"].outcome == "replaced"


# --- empty ---


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


# --- when a file is taken ---


def test_the_command_line_takes_what_is_there_and_the_sensor_only_what_is_quiet_or_done(
    tmp_path: Path,
) -> None:
    made = project(tmp_path, settle="60s")
    quiet_since(export(made, CONTENT, name="quiet.jsonl"), 60)
    quiet_since(export(made, CONTENT, name="busy.jsonl"), 59)
    marked = export(made, CONTENT, name="marked.jsonl")
    quiet_since(marked, 0)
    marked.with_name("marked.jsonl.done").touch()
    assert {name: each.outcome for name, each in land(made, only_settled=True).items()} == {
        "quiet.jsonl": "landed",
        "busy.jsonl": "waiting",
        "marked.jsonl": "landed",
    }
    assert land(made)["busy.jsonl"].outcome == "landed"


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json"])
def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path)
    path = export(made, CONTENT[: len(CONTENT) // 2], name=name)
    plain = stream.ExportStream.__iter__

    def growing(self: stream.ExportStream) -> Iterator[bytes]:
        yield from plain(self)
        path.write_bytes(CONTENT)

    with monkeypatch.context() as patched:
        patched.setattr(stream.ExportStream, "__iter__", growing)
        assert land(made)[name].outcome == "waiting"
    assert ledger(made) == {}
    assert land(made)[name].outcome == "landed"


def test_a_file_that_is_cut_while_it_grows_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path)
    whole = gzip.compress(CONTENT)
    path = export(made, whole[:-20], name="a.jsonl.gz")
    plain = stream.ExportStream.__iter__

    def growing(self: stream.ExportStream) -> Iterator[bytes]:
        try:
            yield from plain(self)
        finally:
            path.write_bytes(whole)

    with monkeypatch.context() as patched:
        patched.setattr(stream.ExportStream, "__iter__", growing)
        assert land(made)["a.jsonl.gz"].outcome == "waiting"
    assert landed(made).height == 2


def test_a_file_that_goes_away_while_it_is_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path)
    path = export(made, CONTENT)
    plain = stream.ExportStream.__iter__

    def vanishing(self: stream.ExportStream) -> Iterator[bytes]:
        yield from plain(self)
        path.unlink()

    monkeypatch.setattr(stream.ExportStream, "__iter__", vanishing)
    assert land(made)["events.jsonl"].outcome == "waiting"


# --- again ---


def test_the_same_content_again_is_no_work(tmp_path: Path) -> None:
    made = project(tmp_path)
    path = export(made, CONTENT)
    land(made)
    before = {file: file.stat().st_mtime_ns for file in made.lake.glob("*/*/*.parquet")}
    assert land(made)["events.jsonl"].outcome == "unchanged"
    path.unlink()
    export(made, CONTENT)
    assert land(made)["events.jsonl"].outcome == "unchanged"
    assert {file: file.stat().st_mtime_ns for file in made.lake.glob("*/*/*.parquet")} == before


def test_new_content_under_the_same_name_replaces_the_old(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT)
    land(made)
    export(made, lines(event(customer_id="c9")))
    assert land(made)["events.jsonl"].outcome == "replaced"
    assert lake_rows(made)["customer_id"].to_list() == ["c9"]
    assert len(data_files(made)) == 1


def test_content_that_is_broken_now_leaves_no_rows_and_comes_back_when_it_is_whole(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, gzip.compress(CONTENT), name="a.jsonl.gz")
    land(made)
    export(made, gzip.compress(CONTENT)[:-9], name="a.jsonl.gz")
    assert land(made)["a.jsonl.gz"].outcome == "refused"
    assert data_files(made) == []
    assert land(made)["a.jsonl.gz"].outcome == "unchanged"
    export(made, gzip.compress(CONTENT), name="a.jsonl.gz")
    assert landed(made).height == 2


def test_an_export_that_is_gone_stays_in_the_lake(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT).unlink()
    export(made, CONTENT, name="other.jsonl")
    land(made)
    (made.exports / "web" / DAY.isoformat() / "other.jsonl").unlink()
    assert land(made) == {}
    assert lake_rows(made).height == 2


def test_files_of_one_content_and_alike_names_stay_apart(tmp_path: Path) -> None:
    made = project(tmp_path)
    for name in ("a b.jsonl", "a_b.jsonl", "a?b.jsonl", "a.jsonl", "a.jsonl.jsonl"):
        export(made, CONTENT, name=name)
    export(made, CONTENT, name="a.jsonl", day=DAY + timedelta(days=1))
    assert landed(made).height == 12
    assert len(data_files(made)) == 6


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT)
    land(made)
    folder = made.lake / "web" / DAY.isoformat()
    kept = data_files(made)
    for name in ("other.jsonl.parquet.tmp", "events.jsonl.json.tmp", "events.jsonl.0123456789ab.parquet"):
        (folder / name).write_bytes(b"half")
    land(made)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*kept, "events.jsonl.json"])


def test_a_run_that_dies_before_the_commit_leaves_nothing_and_the_next_one_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path)
    export(made, CONTENT)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            land(made)
    assert ledger(made) == {}
    assert landed(made).height == 2
    assert len(data_files(made)) == 1


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT)
    land(made)
    manifest = made.lake / "web" / DAY.isoformat() / "events.jsonl.json"
    manifest.write_text("{")
    with pytest.raises(EventpipeError, match=r"events\.jsonl\.json cannot be read .* Delete it and run again"):
        land(made)
    manifest.unlink()
    assert landed(made).height == 2


def test_judging_again_gives_the_same_rows(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, CONTENT + b"bad\n")
    before = landed(made)
    assert land(made, again=True)["events.jsonl"].outcome == "replaced"
    assert lake_rows(made).equals(before)
    assert len(data_files(made)) == 1


# --- Parquet ---


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    at = pa.array([1767607200_000000], pa.timestamp("us", "UTC"))
    table = {
        "event_name": ["a"],
        "customer_id": pa.array([12345678901234567], pa.int64()),
        "occurred_at": at,
        "value": pa.array([Decimal("12345678901.2345")], pa.decimal128(18, 4)),
        "properties": pa.array([{"n": 1, "list": [1.5, None], "text": "x", "none": None}]),
    }
    made = project(tmp_path)
    export(made, parquet_bytes(**table), name="a.parquet")
    row = accepted(landed(made))
    assert row["customer_id"] == "12345678901234567"
    assert row["occurred_at"].isoformat() == "2026-01-05T10:00:00+00:00"
    assert row["value"] == Decimal("12345678901.2345")
    assert {name: value for name, value in row["properties"].items() if value is not None} == {
        "n": 1,
        "list": [1.5, None],
        "text": "x",
    }


def test_objects_that_parquet_holds_as_text_are_read(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, parquet_bytes(event_name=["a"], customer_id=["c"], properties=['{"n": 1}']), name="a.parquet")
    assert accepted(landed(made))["properties"] == {"n": 1}


def test_a_naive_time_in_parquet_is_in_the_zone_of_the_source(tmp_path: Path) -> None:
    made = project(tmp_path, sources={"web": {"preset": "canonical", "timezone": "Asia/Tokyo"}})
    at = pa.array([1767607200_000000], pa.timestamp("us"))
    export(made, parquet_bytes(event_name=["a"], customer_id=["c"], occurred_at=at), name="a.parquet")
    assert accepted(landed(made))["occurred_at"].isoformat() == "2026-01-05T01:00:00+00:00"


def test_a_row_of_parquet_that_holds_no_number_is_rejected_alone(tmp_path: Path) -> None:
    made = project(tmp_path)
    values = pa.array([1.0, float("nan"), 2.0])
    export(made, parquet_bytes(event_name=["a"] * 3, customer_id=["c"] * 3, value=values), name="a.parquet")
    rows = landed(made)
    assert [bool(each) for each in reasons(rows)] == [False, True, False]
    assert rows["line"].to_list() == [1, 2, 3]


def test_parquet_with_columns_of_every_kind_lands(tmp_path: Path) -> None:
    table = {
        "event_name": ["a"],
        "customer_id": ["c"],
        "blob": pa.array([b"\xff\0"], pa.binary()),
        "day": pa.array([20458], pa.date32()),
        "bool": [True],
        "duration": pa.array([5], pa.duration("s")),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "null": pa.nulls(1),
        "": ["x"],
        "a b": ["x"],
    }
    made = project(tmp_path)
    export(made, parquet_bytes(**table), name="a.parquet")
    accepted(landed(made))


def test_parquet_rows_keep_their_numbers_over_row_groups(tmp_path: Path) -> None:
    made = project(tmp_path)
    sink = io.BytesIO()
    names = [f"c{number}" for number in range(500)]
    pq.write_table(pa.table({"event_name": ["a"] * 500, "customer_id": names}), sink, row_group_size=7)
    export(made, sink.getvalue(), name="a.parquet")
    assert landed(made).select("line", "customer_id").rows() == list(enumerate(names, start=1))


def test_a_parquet_column_named_like_the_engine_s_own_refuses_the_file(tmp_path: Path) -> None:
    content = parquet_bytes(event_name=["a"], file_row_number=[1])
    assert refusal(project(tmp_path), content, "a.parquet") == "file.corrupt"


def test_parquet_without_a_preset_is_mapped_by_column(tmp_path: Path) -> None:
    source = {
        "format": "parquet",
        "map": {"event_name": {"value": "sale"}, "customer_id": "Customer ID", "value": "a.b"},
    }
    made = project(tmp_path, sources={"web": source})
    export(made, parquet_bytes(**{"Customer ID": ["c"], "a.b": [2.5], "rest": [1]}), name="a.parquet")
    row = accepted(landed(made))
    assert (row["customer_id"], row["value"], row["properties"]) == ("c", Decimal("2.5"), {"rest": 1})


def test_nothing_is_landed_twice_under_two_lines(tmp_path: Path) -> None:
    rows = judged(tmp_path, *[event(customer_id=f"c{n}") for n in range(3000)])
    assert rows["line"].to_list() == list(range(1, 3001))
    assert rows["customer_id"].to_list() == [f"c{n}" for n in range(3000)]
    assert rows["event_id"].n_unique() == 3000
