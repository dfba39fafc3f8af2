"""A bad file costs that file: it is refused whole, with a reason."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from eventpipe.intake import stream
from eventpipe_tests.builders import (
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
        ("a.jsonl", gzip.compress(CONTENT), "file.encoding"),
        ("a.jsonl", zstd(CONTENT), "file.encoding"),
        ("a.csv", zstd(CONTENT), "file.encoding"),
        ("a.jsonl.gz", gzip.compress(gzip.compress(CONTENT)), "file.encoding"),
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
