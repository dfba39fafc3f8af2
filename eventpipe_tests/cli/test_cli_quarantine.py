"""`eventpipe quarantine`: rejected lines are looked at, and let in by a better definition; a run that is held says why."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from eventpipe.project.folder import Project, load_project
from eventpipe_tests import builders
from eventpipe_tests.builders import event, export
from eventpipe_tests.cli.conftest import Ended, eventpipe
from eventpipe_tests.pipeline.shop import Shop

Call = Callable[..., Ended]


def plan(total: str) -> list[dict[str, Any]]:
    return [{"name": "order.completed", "properties": [{"name": "total", "type": total, "required": True}]}]


def order(number: int, **fields: object) -> dict[str, object]:
    return event(event_name="order.completed", properties={"total": "ten"}, customer_id=f"c{number}") | fields


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Orders whose total is a word, where the plan wants a number; a line that nobody can read; a page that is right."""
    shop = Shop(builders.project(tmp_path_factory.mktemp("quarantine") / "shop", events=plan("number")))
    export(shop.project, builders.lines(*map(order, range(3)), order(3, occurred_at="never"), event(), "{\x1b[31m"))
    export(shop.project, [order(4)], day=builders.DAY.replace(day=7))
    shop.run()
    return shop.project


@pytest.fixture
def quarantine(call: Call, made: Project) -> Callable[..., Ended]:
    return lambda *arguments: call("quarantine", *arguments, "--project", made.root)


Quarantine = Callable[..., Ended]


def test_ls_groups_by_reason_with_a_sample(quarantine: Quarantine) -> None:
    listed = quarantine("ls", "--json").good().json
    found = [(row["reason"], row["event_name"], row["lines"], row["sample"]) for row in listed]
    assert found == [
        ("property.type:total", "order.completed", 5, "2026-01-05/events.jsonl:1"),
        ("json.invalid", None, 1, "2026-01-05/events.jsonl:6"),
        ("occurred_at.invalid", "order.completed", 1, "2026-01-05/events.jsonl:4"),
    ]
    assert (listed[0]["first_landed_on"], listed[0]["last_landed_on"]) == ("2026-01-05", "2026-01-07")
    shown = quarantine("ls").good().out
    assert re.search(r"property\.type:total +web +order\.completed +5 +2026-01-05 +2026-01-07", shown), shown


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ([], [1, 2, 3, 4, 6, 1]),
        (["--reason", "property.type"], [1, 2, 3, 4, 1]),
        (["--reason", "property.type:total", "--since", "2026-01-06"], [1]),
        (["--reason", "occurred_at.invalid"], [4]),
        (["--event", "order.completed", "--limit", "2"], [1, 2]),
        (["--event", "x' or true --"], []),
    ],
)
def test_show_takes_what_is_asked_for(quarantine: Quarantine, asked: Sequence[str], lines: Sequence[int]) -> None:
    assert [row["line"] for row in quarantine("show", *asked, "--json").good().json] == lines


def test_that_nothing_is_like_what_is_asked_for_is_said(quarantine: Quarantine) -> None:
    for command in ("ls", "show"):
        assert "No rejected line is like that" in quarantine(command, "--event", "nobody.sent").good().out


def test_show_shows_lines_as_they_were_sent_and_inert(quarantine: Quarantine) -> None:
    shown = quarantine("show").good().out.splitlines()
    assert shown[0] == "web/2026-01-05/events.jsonl:1  property.type:total"
    assert shown[1].strip().startswith('{"event_name": "order.completed"')
    assert "\x1b" not in "".join(shown)
    assert r"{\x1b[31m" in [line.strip() for line in shown]


def test_before_a_run_there_is_nothing_to_look_at(call: Call, tmp_path: Path) -> None:
    builders.project(tmp_path)
    assert call("quarantine", "ls", "--project", tmp_path).code == 2


def test_replay_is_held_by_an_error_and_served_once_it_is_corrected(call: Call, made: Project, tmp_path: Path) -> None:
    root = tmp_path / "shop"
    shutil.copytree(made.root, root)
    builders.project(root, events=plan("string"))
    shutil.rmtree(root / "exports" / "web")
    rule = {
        **{"name": "orders_are_leads", "severity": "error", "required": True, "of": "event_sample"},
        **{"expect": "column_values_to_be_in_set", "column": "goal_type", "value_set": ["lead"]},
    }
    (root / "expectations.yml").write_text(json.dumps({"expectations": [rule]}))
    published = (root / "analytics.duckdb").read_bytes()
    held = eventpipe("quarantine", "replay", "--reason", "property.type", "--project", root, "--json")
    assert held.code == 3, held.err
    assert held.json["error"]["type"] == "AuditHeld"
    assert "orders_are_leads" in held.err
    assert "The last good tables are still served" in held.err
    assert (root / "analytics.duckdb").read_bytes() == published
    told = call("status", "--json", "--project", root).good().json
    assert told["runs"][0]["status"] == "held"
    assert "orders_are_leads" in told["runs"][0]["error"]
    [failed] = [each for each in told["audit"]["failed"] if each["severity"] == "error"]
    assert (failed["check"], failed["observed"]) == ("orders_are_leads", {"rows": 0})
    assert "Error: orders_are_leads on goal_type (rows 0)" in call("status", "--project", root).good().out

    (root / "expectations.yml").unlink()
    assert eventpipe("run", "--project", root, "--json").good().json["status"] == "published"
    count = "select (select count(*) from events), (select count(*) from rejected_events)"
    assert call("query", count, "--csv", "--project", root).good().out.splitlines()[1] == "5,2"
    again = call("quarantine", "replay", "--json", "--project", root).good().json
    assert again == {"replay": {"lines": 2, "accepted": 0, "exports": 1, "exports_changed": 0}, "run": None}
    assert "0 are accepted, 0 exports changed" in call("quarantine", "replay", "--project", root).good().out
    assert load_project(root, {}).registry.by_name.keys() == {"order.completed"}
