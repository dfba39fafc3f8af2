"""The doctor sees it when a promise is broken: each test breaks one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from eventpipe.cli.options import now
from eventpipe.doctor.accounted import accounted
from eventpipe.doctor.findings import Check, Promise
from eventpipe.doctor.same_answer import configuration_of, same_answer
from eventpipe.doctor.whole import whole
from eventpipe.intake.lake import Lake
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project, load_project
from eventpipe.serving.file import open_published
from eventpipe_tests.cli.conftest import Ended, Shop, eventpipe


@pytest.fixture
def project(own_shop: Shop) -> Project:
    return load_project(own_shop.root, {})


def change(file: Path, *statements: str) -> None:
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def broken(promise: Promise) -> list[Check]:
    return [check for check in promise.checks if check.state == "broken"]


def check_accounted(project: Project) -> Promise:
    lake = Lake(project.lake)
    with open_published(project) as published:
        return accounted(project, published, lake, list(lake.manifests()))


def check_whole(project: Project) -> Promise:
    with (
        open_published(project) as published,
        duckdb.connect(str(project.warehouse), read_only=True) as working,
        OpsStore.open(project.ops) as store,
    ):
        return whole(published, working, runs.recent(store, 100))


def check_same_answer(project: Project) -> Promise:
    """Against a rebuild, for which the untouched working database stands in."""
    with (
        open_published(project) as published,
        duckdb.connect(str(project.warehouse), read_only=True) as rebuilt,
    ):
        rebuilt.execute("set TimeZone = 'UTC'")
        return same_answer(published, rebuilt, configuration_of(rebuilt))


def test_a_good_project_keeps_its_promises(project: Project) -> None:
    for check in (check_accounted, check_same_answer, check_whole):
        promise = check(project)
        assert promise.state == "kept", broken(promise)


@pytest.mark.parametrize(
    "damage",
    [
        "update ledger set blank = blank + 1 where file = (select min(file) from ledger)",
        "delete from rejected_events where line = (select min(line) from rejected_events)",
        "delete from events where event_id = (select min(event_id) from events where version_count = 1)",
        "update ledger set accepted = accepted + 1, lines = lines + 1 where source = 'arsel'",
    ],
)
def test_a_line_that_is_not_accounted_for(project: Project, damage: str) -> None:
    change(project.analytics, damage)
    promise = check_accounted(project)
    assert promise.state == "broken"
    assert all(check.numbers and check.detail for check in broken(promise))


def test_rows_that_the_lake_has_lost(project: Project) -> None:
    next(project.lake.glob("*/*/*.parquet")).unlink()
    (check,) = broken(check_accounted(project))
    assert check.numbers["lost"] == 1


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        (
            "update contacts set email = 'x@y.z' where contact_id = (select min(contact_id) from contacts)",
            "contacts",
        ),
        (
            "delete from contact_identifiers where identifier_value ="
            " (select min(identifier_value) from contact_identifiers)",
            "contact_identifiers",
        ),
        ("insert into contact_goals select * from contact_goals limit 1", "contact_goals"),
        ("drop table event_catalog", "event_catalog"),
        ("alter table ledger add column more integer", "ledger"),
    ],
)
def test_a_table_that_a_rebuild_would_not_give(project: Project, damage: str, table: str) -> None:
    change(project.analytics, damage)
    promise = check_same_answer(project)
    assert promise.state == "broken"
    assert [check.name for check in broken(promise)] == [table]


def test_columns_of_runs_and_clocks_may_differ(project: Project) -> None:
    change(project.analytics, "update contacts set run_id = 'other'", "update ledger set loaded_at = 'other'")
    assert check_same_answer(project).state == "kept"


def test_a_changed_configuration_is_no_broken_promise(project: Project) -> None:
    with open_published(project) as published:
        spare = project.root / "rebuilt.duckdb"
        shutil.copyfile(project.warehouse, spare)
        change(spare, "update run.sources set authority = authority + 1")
        with (
            duckdb.connect(str(project.warehouse), read_only=True) as working,
            duckdb.connect(str(spare), read_only=True) as rebuilt,
        ):
            promise = same_answer(published, rebuilt, configuration_of(working))
    assert promise.state == "unchecked"
    assert "configuration changed" in promise.checks[0].detail


@pytest.mark.parametrize(
    "damage",
    [
        lambda project: change(project.analytics, "update contacts set run_id = 'run-of-nobody'"),
        lambda project: change(project.analytics, "delete from contact_identifiers"),
        lambda project: change(project.analytics, "update runs set run_id = 'another'"),
    ],
)
def test_published_tables_of_more_than_one_instant(project: Project, damage: Callable[[Project], None]) -> None:
    damage(project)
    assert check_whole(project).state == "broken"


def test_a_working_database_that_a_later_run_changed_is_not_compared(project: Project) -> None:
    change(project.warehouse, "update run.parameters set run_id = 'a-later-run'", "delete from main.contacts")
    promise = check_whole(project)
    assert promise.state == "unchecked"
    assert broken(promise) == []


def test_the_command_ends_with_1_when_a_promise_is_broken(
    project: Project, call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(project.analytics, "update contacts set email = 'x@y.z'")
    monkeypatch.setattr(
        "eventpipe.doctor.examination.examine",
        lambda *_, **__: [check_accounted(project), check_same_answer(project)],
    )
    ended = call("doctor", "--project", project.root)
    assert ended.code == 1
    assert "1. Accounted: ok" in ended.out
    assert "2. Same answer: BROKEN" in ended.out
    assert "only published" in ended.out
    assert call("doctor", "--project", project.root, "--json").json["ok"] is False


def test_exports_that_are_not_published_yet_are_no_broken_promise(project: Project) -> None:
    from eventpipe.erasure.tombstones import NOBODY
    from eventpipe.intake.exports import Selection
    from eventpipe.intake.land import land_exports

    file = project.exports / "redo" / "2026-01-04" / "more.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("\n")
    land_exports(replace(project), Selection(), now(), tombstones=NOBODY)
    ended = eventpipe("doctor", "--project", project.root, "--json").good()
    assert [each["state"] for each in ended.json["promises"]] == ["kept", "unchecked", "kept"]
    assert ended.json["promises"][1]["checks"][0]["numbers"] == {"exports": 1}
