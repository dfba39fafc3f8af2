"""A user's first day: init, sample, run, look, ask, check, backfill."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

from eventpipe.cli.options import now
from eventpipe.cli.writer import writing
from eventpipe.ops.backfills import Backfills
from eventpipe.project.folder import load_project
from eventpipe_tests.cli.conftest import EVENTS, Shop, eventpipe


def test_init_makes_a_project_once(tmp_path: Path) -> None:
    made = eventpipe("init", tmp_path / "shop", "--json").good().json
    assert made["project"] == str((tmp_path / "shop").resolve())
    assert "eventpipe.yml" in made["created"]
    again = eventpipe("init", tmp_path / "shop")
    assert (again.code, again.out) == (2, "")
    assert "is a project" in again.err


def test_a_run_lands_what_the_sample_promised(shop: Shop) -> None:
    report, expected = shop.report, shop.expected
    assert report["status"] == "published"
    assert report["counts"]["lines_accepted"] == expected["expected_accepted"]
    assert report["counts"]["lines_rejected"] == expected["rejected_lines"]
    assert report["counts"]["lines_blank"] == expected["blank"]
    assert report["exports"] == {
        "landed": expected["files"],
        "replaced": 0,
        "unchanged": 0,
        "refused": 0,
        "waiting": 0,
    }
    assert report["refused"] == []
    assert report["tables"]["contacts"] == expected["contacts"]
    assert report["tables"]["event_versions"] == expected["expected_accepted"]
    assert report["tables"]["rejected_events"] == expected["rejected_lines"]
    assert [stage["name"] for stage in report["stages"]] == [
        "land",
        "resolve",
        "identify",
        "model",
        "segment",
        "audit",
        "decide",
        "publish",
    ]


def test_the_same_exports_again_change_nothing_and_a_refused_one_is_told(own_shop: Shop) -> None:
    (own_shop.root / "exports" / "redo" / "2026-01-03" / "late.jsonl.gz").write_bytes(b"this is no gzip")
    ended = eventpipe("run", "--project", own_shop.root).good()
    assert f"Exports: {own_shop.expected['files']} unchanged, 1 refused." in ended.out
    assert "Refused: redo/2026-01-03/late.jsonl.gz: file." in ended.out
    # Progress is told on stderr, in plain lines where that is no terminal.
    assert "landing: " in ended.err
    assert "refused redo/2026-01-03/late.jsonl.gz: file." in ended.err
    assert "\x1b" not in ended.err
    tables = eventpipe("status", "--project", own_shop.root, "--json").good().json["published"]["tables"]
    assert tables == {
        **own_shop.report["tables"],
        "runs": 2,
        "checks": tables["checks"],
        "ledger": own_shop.expected["files"] + 1,
    }


def test_a_run_takes_the_dates_and_the_instant_that_it_is_given(tmp_path: Path) -> None:
    eventpipe("init", tmp_path).good()
    eventpipe("sample", "--events", 60, "--days", 3, "--sources", "redo", "--project", tmp_path).good()
    dates = ("--from", "2026-01-02", "--to", "2026-01-02")
    ended = eventpipe("run", "--project", tmp_path, *dates, "--as-of", "2026-01-02T12:00:00", "--json").good()
    assert ended.json["as_of"] == "2026-01-02T12:00:00+00:00"
    assert 0 < ended.json["tables"]["events"] < ended.json["tables"]["event_versions"]
    days = eventpipe("query", "select distinct landed_on from ledger", "--csv", "--project", tmp_path).good()
    assert days.out.splitlines() == ["landed_on", "2026-01-02"]


def test_an_interrupted_backfill_goes_on_where_it_stopped(own_shop: Shop) -> None:
    project = load_project(own_shop.root, {})
    first, last = date(2026, 1, 1), date(2026, 1, 3)
    with writing(project, "before") as lease:
        backfills = Backfills(lease)
        begun = backfills.open_or_resume(first, last, now=now())
        backfills.mark_done(begun.backfill_id, first)
    ended = eventpipe("backfill", "--project", own_shop.root, "--from", first, "--to", last, "--json").good()
    assert ended.json["backfill"] == {
        "from": "2026-01-01",
        "to": "2026-01-03",
        "days": 3,
        "skipped": ["2026-01-01"],
        "landed_again": 2,
    }
    assert "1 of its 3 days were landed again already (2026-01-01 to 2026-01-01)" in ended.err
    again = len([path for day in ("02", "03") for path in project.exports.glob(f"*/2026-01-{day}/*")])
    assert ended.json["exports"]["replaced"] == again
    assert ended.json["exports"]["unchanged"] == own_shop.expected["files"] - again
    assert ended.json["kind"] == "backfill"
    assert ended.json["tables"] == {**own_shop.report["tables"], "runs": 2, "checks": ended.json["tables"]["checks"]}
    with writing(project, "after") as lease:
        assert Backfills(lease).open_or_resume(first, last, now=now()).done == ()


def test_the_tables_are_queried_as_csv(shop: Shop) -> None:
    ended = eventpipe("query", "--project", shop.root, "--csv", "select source, sum(lines) from ledger group by all")
    rows = list(csv.reader(io.StringIO(ended.good().out)))
    assert len(rows) == 5
    assert sum(int(lines) for _, lines in rows[1:]) == shop.expected["lines"] >= EVENTS


def test_the_doctor_finds_a_good_project_good(shop: Shop) -> None:
    ended = eventpipe("doctor", "--project", shop.root, "--json").good()
    assert ended.json["ok"] is True
    assert [(each["number"], each["state"]) for each in ended.json["promises"]] == [
        (1, "kept"),
        (2, "kept"),
        (3, "kept"),
    ], ended.out
    assert not list((shop.root / ".eventpipe").glob("doctor*"))
