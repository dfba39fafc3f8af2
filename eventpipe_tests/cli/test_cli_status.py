"""`eventpipe status`: what ran, what is landed, rejected and published, what nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from eventpipe.cli.options import now
from eventpipe.cli.writer import say_that_we_wait
from eventpipe.ops import lease
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import load_project
from eventpipe_tests.cli.conftest import Ended, Shop

Call = Callable[..., Ended]


def test_status_of_a_new_project_makes_nothing(call: Call, tmp_path: Path) -> None:
    root = tmp_path / "new"
    call("init", root).good()
    before = sorted(root.rglob("*"))
    told = call("status", "--project", root, "--json").good().json
    assert (told["runs"], told["published"], told["lease"]) == ([], None, None)
    assert [(each["source"], each["loaded"]) for each in told["exports"]] == [
        ("arsel", 0),
        ("customerio", 0),
        ("notifuse", 0),
        ("redo", 0),
    ]
    assert "No run yet" in call("status", "--project", root).good().out
    assert sorted(root.rglob("*")) == before


def test_variables_that_nothing_reads_are_told_of_on_stderr(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("init", tmp_path / "new").good()
    monkeypatch.setenv("EVENTPIPE_ANALYTIC", "elsewhere.duckdb")
    ended = call("status", "--project", tmp_path / "new", "--json").good()
    assert (
        ended.err
        == "Warning: The environment variable EVENTPIPE_ANALYTIC is read by nothing; did you mean EVENTPIPE_ANALYTICS?\n"
    )
    assert ended.json["runs"] == []


def test_status_tells_what_is_landed_rejected_and_published(call: Call, shop: Shop) -> None:
    told = call("status", "--project", shop.root, "--json").good().json
    for name, expected in shop.expected["sources"].items():
        (found,) = [each for each in told["exports"] if each["source"] == name]
        assert found["loaded"] == expected["files"]
        assert found["accepted"] == expected["expected_accepted"]
        assert found["rejected"] == expected["rejected_lines"]
        assert found["blank"] == expected["blank"]
        assert found["lines"] == found["accepted"] + found["rejected"] + found["blank"]
    assert told["published"]["tables"] == shop.report["tables"]
    assert told["published"]["run_id"] == shop.report["run_id"] == told["runs"][0]["run_id"]
    assert told["published"]["rejected_by_reason"] == shop.expected["expected_rejected"]
    assert told["runs"][0]["status"] == "published"
    assert (told["not_landed"], told["refused"], told["unread_folders"]) == (0, [], [])


def test_status_for_people_names_the_run_and_the_tables(call: Call, shop: Shop) -> None:
    shown = call("status", "--project", shop.root).good().out
    for text in (shop.report["run_id"], "No run is writing", "contact_timeline", "rejected because of"):
        assert text in shown


def test_status_tells_of_exports_that_were_judged_by_other_definitions(call: Call, own_shop: Shop) -> None:
    def judged_before() -> dict[str, int]:
        told = call("status", "--project", own_shop.root, "--json").good().json["exports"]
        return {each["source"]: each["judged_before"] for each in told if each["judged_before"]}

    assert judged_before() == {}
    settings = own_shop.root / "eventpipe.yml"
    settings.write_text(settings.read_text().replace("preset: notifuse", "preset: notifuse\n    registry: closed"))
    assert judged_before() == {"notifuse": own_shop.expected["sources"]["notifuse"]["files"]}
    assert "backfill --from" in call("status", "--project", own_shop.root).good().out


def test_status_tells_of_exports_that_wait_and_folders_that_nobody_reads(call: Call, own_shop: Shop) -> None:
    for path in ("redo/2026-01-09/new.jsonl", "shopify/2026-01-01/a.jsonl", "redo/yesterday/b.jsonl"):
        file = own_shop.root / "exports" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}\n")
    told = call("status", "--project", own_shop.root, "--json").good().json
    assert told["not_landed"] == 1
    assert told["unread_folders"] == ["redo/yesterday", "shopify"]
    shown = call("status", "--project", own_shop.root).good().out
    assert "Nobody reads exports/shopify" in shown


def test_status_names_who_holds_the_lease(call: Call, own_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    with OpsStore.open(own_shop.root / "ops.db") as store:
        held = lease.acquire(store, "run-7", now=now, wait=timedelta(0))
        told = call("status", "--project", own_shop.root, "--json").good().json
        shown = call("status", "--project", own_shop.root).good().out
        say_that_we_wait(load_project(own_shop.root, {}))
        waiting = capfd.readouterr().err
        held.release()
    assert "run run-7" in waiting
    assert "waiting for it to end" in waiting
    assert told["lease"]["holder"] == "run-7"
    assert "run run-7" in shown
    assert "is writing" in shown
