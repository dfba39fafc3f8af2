"""`eventpipe hold`: what the audit holds back is listed, shown by status, and let go by a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from eventpipe.cli.writer import writing
from eventpipe.ops.holds import Breach, held, open_holds
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe_tests import builders
from eventpipe_tests.cli.conftest import Ended

Call = Callable[..., Ended]

NOW = datetime(2026, 3, 6, tzinfo=UTC)
BREACHES = [
    Breach("web", "checkout.started", date(2026, 3, 4), "web sent 0 checkout.started on 2026-03-04."),
    Breach("web", "checkout.started", date(2026, 3, 5), "web sent 0 checkout.started on 2026-03-05."),
    Breach("crm", "checkout.started", date(2026, 3, 5), "crm sent 0 checkout.started on 2026-03-05."),
    Breach("web", "order \x1b[31m", date(2026, 3, 5), "web sent 9 on 2026-03-05."),
]


def breached(made: Project) -> int:
    """What an audit with these breaches does: how many holds are new."""
    with writing(made, "audit") as lease, lease.begin() as connection:
        return len(open_holds(connection, lease, BREACHES, now=NOW))


@pytest.fixture
def made(tmp_path: Path) -> Project:
    made = builders.project(tmp_path, sources={"web": "canonical", "crm": "canonical"})
    breached(made)
    return made


def waits(made: Project, source: str, event: str) -> bool:
    with OpsStore.open(made.ops) as store, store.read() as connection:
        return held(connection, source, event) is not None


def test_without_a_run_nothing_is_held_and_nothing_is_made(call: Call, tmp_path: Path) -> None:
    builders.project(tmp_path)
    assert call("hold", "ls", "--json", "--project", tmp_path).good().json == []
    assert "Nothing is held back" in call("hold", "ls", "--project", tmp_path).good().out
    assert not (tmp_path / "ops.db").exists()


def test_ls_lists_one_hold_per_event_and_source_with_its_days(call: Call, made: Project) -> None:
    listed = call("hold", "ls", "--json", "--project", made.root).good().json
    assert [(each["source"], each["event_name"], each["first_day"], each["last_day"]) for each in listed] == [
        ("crm", "checkout.started", "2026-03-05", "2026-03-05"),
        ("web", "checkout.started", "2026-03-04", "2026-03-05"),
        ("web", "order \x1b[31m", "2026-03-05", "2026-03-05"),
    ]
    shown = call("hold", "ls", "--project", made.root).good().out
    assert "web sent 0 checkout.started on 2026-03-04." in shown
    assert "\x1b" not in shown


def test_status_shows_what_is_held(call: Call, made: Project) -> None:
    told = call("status", "--json", "--project", made.root).good().json
    assert len(told["audit"]["held"]) == 3
    shown = call("status", "--project", made.root).good().out
    assert "Held: checkout.started of crm since 2026-03-05: its triggers wait" in shown


def test_what_is_released_waits_no_longer_and_its_days_are_not_held_again(call: Call, made: Project) -> None:
    note = "the spring release had lost it"
    arguments = ("hold", "release", "checkout.started", "--source", "web", "--note", note)
    [released] = call(*arguments, "--json", "--project", made.root).good().json
    assert (released["source"], released["event_name"]) == ("web", "checkout.started")
    assert not waits(made, "web", "checkout.started")
    assert waits(made, "crm", "checkout.started")
    assert len(call("hold", "ls", "--json", "--project", made.root).good().json) == 2
    everything = call("hold", "ls", "--all", "--json", "--project", made.root).good().json
    assert [each["note"] for each in everything if each["released_at"]] == [note]
    assert note in call("hold", "ls", "--all", "--project", made.root).good().out
    assert breached(made) == 0
    assert not waits(made, "web", "checkout.started")


def test_a_hold_is_released_by_its_id_or_everywhere_by_its_event(call: Call, made: Project) -> None:
    [crm, *_] = call("hold", "ls", "--json", "--project", made.root).good().json
    said = call("hold", "release", crm["hold_id"], "--project", made.root).good().out
    assert said == "Released checkout.started of crm.\n"
    assert waits(made, "web", "checkout.started")
    call("hold", "release", "checkout.started", "--project", made.root).good()
    assert not waits(made, "web", "checkout.started")


def test_what_is_not_held_cannot_be_released(call: Call, made: Project) -> None:
    for arguments in (["order.completed"], ["checkout.started", "--source", "app"]):
        ended = call("hold", "release", *arguments, "--project", made.root)
        assert ended.code == 2
        assert "eventpipe hold ls" in ended.err
