"""`eventpipe events`: what is defined and what is sent; a definition is drafted, tried, and then in force."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventpipe.project.folder import load_project
from eventpipe_tests import builders
from eventpipe_tests.builders import event, export
from eventpipe_tests.cli.conftest import Ended
from eventpipe_tests.pipeline.shop import Shop

Call = Callable[..., Ended]

ORDER: dict[str, Any] = {
    "name": "order.completed",
    "aliases": ["Order Completed"],
    "properties": [{"name": "total", "type": "number", "required": True}, {"name": "coupon", "type": "string"}],
}
LEAD = {"name": "lead.made", "mode": "observe", "properties": [{"name": "page", "type": "string", "required": True}]}


def order(total: object, **fields: object) -> dict[str, object]:
    return event(event_name="order.completed", properties={"total": total}) | fields


SENT = [
    order(5),
    order(6),
    order(5, properties={"total": 5, "coupon": "spring"}),
    order("7"),
    order("a lot", properties={"total": "a lot", "coupon": "spring"}),
    order(9, event_name="Order Completed"),
    event(event_name="lead.made"),
    event(event_name="cart.exported", properties={"rows": 1, "on": "2026-01-05", "by": "ada", "mixed": "x"}),
    event(event_name="cart.exported", properties={"rows": 2, "on": "2026-01-06", "by": "bob", "mixed": 1}),
    event(event_name="Cart_Exported", properties={"rows": 3}),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = Shop(builders.project(tmp_path_factory.mktemp("events") / "shop", events=[ORDER, LEAD]))
    export(shop.project, SENT)
    shop.run()
    return shop.project.root


@pytest.fixture
def events(call: Call, root: Path) -> Callable[..., Ended]:
    return lambda *arguments: call("events", *arguments, "--project", root)


Events = Callable[..., Ended]


def defined(folder: Path, *definitions: object) -> Path:
    """A file with these definitions, somewhere else than in the project."""
    file = folder / "tried.yml"
    file.write_text(json.dumps({"events": definitions}))
    return file


def test_ls_lists_what_is_defined_and_what_was_seen(events: Events) -> None:
    listed = {row["event_name"]: row for row in events("ls", "--json").good().json}
    assert list(listed) == ["Cart_Exported", "cart.exported", "lead.made", "order.completed"]
    found = {name: (row["mode"], row["accepted"], row["rejected"], row["violating"]) for name, row in listed.items()}
    assert found == {
        "Cart_Exported": (None, 1, 0, 0),
        "cart.exported": (None, 2, 0, 0),
        "lead.made": ("observe", 1, 0, 1),
        "order.completed": ("enforce", 5, 1, 0),
    }
    assert listed["Cart_Exported"]["drift"] == ["cart.exported"]
    assert listed["order.completed"]["version"]
    shown = events("ls").good().out
    assert re.search(r"order\.completed +\w+ +enforce +5 +1 +0", shown), shown


def test_before_the_first_run_ls_lists_what_is_defined(call: Call, tmp_path: Path) -> None:
    builders.project(tmp_path, events=[ORDER])
    [row] = call("events", "ls", "--json", "--project", tmp_path).good().json
    assert (row["event_name"], row["accepted"], row["last_seen_at"]) == ("order.completed", 0, None)


def test_show_tells_versions_and_properties_by_name_or_alias(events: Events) -> None:
    found = events("show", "Order Completed", "--json").good().json
    assert found["event_name"] == "order.completed"
    assert [(each["version"], each["until_at"]) for each in found["versions"]] == [(found["version"], None)]
    seen = {each["name"]: (each["types"], each["fill_rate"]) for each in found["seen"]["properties"]}
    assert seen == {"coupon": (["string"], 0.2), "total": (["number", "string"], 1.0)}
    shown = events("show", "order.completed").good().out
    assert re.search(r"total +number +required +number, string +100\.0%", shown), shown
    assert re.search(r"coupon +string +string +20\.0%", shown), shown
    assert re.search(r"page +string +required +never seen", events("show", "lead.made").good().out)
    assert "not defined" in events("show", "cart.exported").good().out
    assert "not declared" in events("show", "cart.exported").good().out


def test_an_unknown_event_is_refused(events: Events) -> None:
    for command in ("show", "draft"):
        ended = events(command, "order.compleated")
        assert ended.code == 2
        assert "eventpipe events ls" in ended.err


def test_an_edited_definition_is_told_before_it_is_in_force(call: Call, tmp_path: Path, root: Path) -> None:
    (tmp_path / "ops.db").write_bytes((root / "ops.db").read_bytes())
    builders.project(tmp_path, events=[{**ORDER, "description": "edited"}])
    assert "Edited since the last run" in call("events", "show", "order.completed", "--project", tmp_path).good().out


def test_check_tells_what_a_changed_definition_would_do_and_does_nothing(
    events: Events, root: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    coupon = {"name": "coupon", "type": "string", "required": True}
    other = defined(tmp_path, {**ORDER, "properties": [{"name": "total", "type": "string"}, coupon]})
    found = events("check", other, "--json").good().json
    assert (found["first"], found["last"], found["exports"], found["gone"]) == ("2025-12-30", "2026-01-05", 1, 0)
    trial = found["events"]["order.completed"]
    assert (trial["accepted"], trial["rejected"]) == (5, 1)
    assert (trial["would_accept"], trial["would_reject"]) == (2, 4)
    assert (trial["newly_accepted"], trial["newly_rejected"]) == (1, 4)
    assert trial["reasons"] == {"property.required:coupon": 4}
    assert list(found["events"]) == ["order.completed"]
    shown = events("check", other).good().out
    assert re.search(r"order\.completed +5 +2 +1 +1 +4 +4 +property\.required:coupon \(4\)", shown), shown
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_check_takes_an_enforcing_definition_of_what_was_only_observed(events: Events, tmp_path: Path) -> None:
    found = events("check", defined(tmp_path, {**LEAD, "mode": "enforce"}), "--json").good().json
    trial = found["events"]["lead.made"]
    assert (trial["newly_rejected"], trial["reasons"]) == (1, {"property.required:page": 1})


def test_check_refuses_a_wrong_file_and_a_name_that_is_taken(events: Events, tmp_path: Path) -> None:
    ended = events("check", defined(tmp_path, {"name": "a", "propertys": []}))
    assert ended.code == 2
    assert "did you mean 'properties'?" in ended.err
    ended = events("check", defined(tmp_path, {"name": "sale", "aliases": ["Order Completed"]}))
    assert ended.code == 2
    assert "'Order Completed' is already a name or alias of order.completed" in ended.err


def test_check_leaves_out_exports_that_are_gone(call: Call, tmp_path: Path) -> None:
    made = builders.project(tmp_path, events=[ORDER])
    file = defined(tmp_path, ORDER)
    assert "Nothing has landed yet" in call("events", "check", file, "--project", tmp_path).good().out
    gone = export(made, [order(1)])
    export(made, [order(1)], name="other.jsonl")
    builders.land(made)
    gone.unlink()
    found = call("events", "check", file, "--json", "--project", tmp_path).good().json
    assert (found["exports"], found["gone"], found["events"]["order.completed"]["accepted"]) == (1, 1, 1)
    assert (
        "Left out, for they are no longer in the exports folder, or changed: 1 export."
        in call("events", "check", file, "--project", tmp_path).out
    )


def test_a_draft_is_a_definition_that_accepts_everything_that_was_seen(events: Events, tmp_path: Path) -> None:
    drafted = events("draft", "cart.exported").good().out
    made = builders.project(tmp_path)
    (tmp_path / "events" / "cart.yml").write_text(drafted)
    definition = load_project(made.root, {}).registry.by_name["cart.exported"]
    assert (definition.mode, definition.aliases) == ("observe", ("Cart_Exported",))
    declared = {each.name: (each.type, each.required) for each in definition.properties}
    assert declared == {
        "by": ("string", True),
        "mixed": ("string", True),
        "on": ("date", True),
        "rows": ("number", True),
    }
    assert "# seen as number, string" in drafted
    found = events("check", tmp_path / "events" / "cart.yml", "--json").good().json["events"]
    assert {name: (each["would_accept"], each["would_reject"]) for name, each in found.items()} == {
        "cart.exported": (3, 0)
    }
