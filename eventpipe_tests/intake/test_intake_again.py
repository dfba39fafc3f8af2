"""Taken when it is complete, once, and anew when it changes."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eventpipe.errors import EventpipeError
from eventpipe.intake import stream
from eventpipe.intake.lake import Lake
from eventpipe.project.folder import Project
from eventpipe_tests.builders import (
    DAY,
    event,
    export,
    lake_rows,
    land,
    landed,
    ledger,
    lines,
    project,
    quiet_since,
)
from eventpipe_tests.intake.arranged import (
    CONTENT,
)


def data_files(made: Project) -> list[str]:
    return sorted(path.name for path in made.lake.glob("*/*/*.parquet"))


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


def test_an_export_that_may_not_be_read_now_stays_as_it_landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path)
    path = export(made, CONTENT)
    before = landed(made)
    quiet_since(path, 60)  # as after a change of its rights: the system tells of another state
    opened = Path.open

    def refuses(file: Path, *how: Any, **options: Any) -> Any:  # a file that root may not read is hard to come by
        if file == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return opened(file, *how, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuses)
        assert [each.outcome for each in land(made).values()] == ["waiting"]
        assert lake_rows(made).equals(before)
        export(made, CONTENT, name="new.jsonl")
        path = path.with_name("new.jsonl")
        assert land(made)["new.jsonl"].outcome == "refused"
    assert [each.outcome for each in land(made).values()] == ["unchanged", "unchanged"]
    quiet_since(path, 60)
    assert land(made)["new.jsonl"].outcome == "replaced"


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
    with pytest.raises(EventpipeError, match=r"events\.jsonl\.json cannot be read .* delete it and run again"):
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
