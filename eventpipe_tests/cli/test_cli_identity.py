"""`eventpipe identity`: why, corrections, and what they would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventpipe_tests import builders
from eventpipe_tests.builders import event, export
from eventpipe_tests.cli.conftest import Ended
from eventpipe_tests.pipeline.shop import Shop

Call = Callable[..., Ended]


def at(hour: int, **identifiers: str) -> dict[str, object]:
    return event(customer_id=None, occurred_at=f"2026-01-05T{hour:02}:00:00Z") | identifiers


EVENTS = [
    at(1, anonymous_id="a1"),
    at(2, anonymous_id="a1", email="ada@shop.example"),
    at(3, customer_id="c1", email="ada@shop.example", phone="+14155552671"),
    at(4, customer_id="c1", phone="+14155552671", anonymous_id="a2"),
    at(5, customer_id="c2", email="ada@shop.example"),
    at(6, customer_id="c3", email="noreply@shop.example"),
    *(at(7, customer_id=f"d{number}", anonymous_id="kiosk") for number in range(11)),
    at(8, customer_id="c2", phone="+14155552672", anonymous_id="a1") | {"workspace_id": "other"},
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = Shop(builders.project(tmp_path_factory.mktemp("identity") / "shop"))
    export(shop.project, EVENTS)
    shop.run()
    return shop.project.root


@pytest.fixture
def identity(call: Call, root: Path) -> Iterator[Callable[..., Ended]]:
    """`eventpipe identity ...` on that project, whose identity.yml goes away with the test."""
    yield lambda *arguments: call("identity", *arguments, "--project", root)
    (root / "identity.yml").unlink(missing_ok=True)


def ties(explanation: dict[str, Any], steps: str) -> list[tuple[str, str]]:
    return [(step["left"][1], step["right"][1]) for step in explanation[steps]]


def test_explain_shows_the_chain_of_events(identity: Callable[..., Ended]) -> None:
    said = identity("explain", "a1", "a2", "--json").good().json
    assert said["verdict"] == "linked"
    assert ties(said, "chain") == [("a1", "ada@shop.example"), ("ada@shop.example", "c1"), ("c1", "a2")]
    assert [step["occurred_at"][11:13] for step in said["chain"]] == ["02", "03", "04"]
    assert all(step["event_id"] for step in said["chain"])
    shown = identity("explain", "ADA@shop.example", "phone:+1 415 555 2671").good().out
    assert "are one contact" in shown


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("c2", "ada@shop.example", "limit:customer_id"),
        ("c2", "a2", "limit:customer_id"),
        ("kiosk", "d3", "shared"),
        ("d1", "d2", "shared"),
        ("c1", "c3", "nothing ties them"),
        ("d1", "+14155552672", "workspace"),
    ],
)
def test_explain_names_what_keeps_them_apart(identity: Callable[..., Ended], one: str, other: str, rule: str) -> None:
    said = identity("explain", one, other, "--json").good().json
    assert said["verdict"] == "apart"
    assert {step["rule"] for step in said["reasons"]} == {rule}
    assert "are not one contact" in identity("explain", one, other).good().out


def test_who_is_unknown_is_said_and_who_may_be_meant(identity: Callable[..., Ended]) -> None:
    for command in ("explain", "unlink"):
        ended = identity(command, "ada@shop.exmple", "c1")
        assert ended.code == 1
        assert "Did you mean ada@shop.example?" in ended.err


def test_what_never_links_is_called_blocked(identity: Callable[..., Ended]) -> None:
    ended = identity("explain", "noreply@shop.example", "c3")
    assert ended.code == 1
    assert "is blocked" in ended.err


def test_unlink_is_planned_and_taken_back(identity: Callable[..., Ended], root: Path) -> None:
    assert identity("plan", "--json").good().json["counts"] == {}
    assert identity("unlink", "ada@shop.example", "c1", "--json").good().json == {
        "file": "identity.yml",
        "unlink": ["email:ada@shop.example", "customer_id:c1"],
        "added": True,
    }
    assert identity("unlink", "ada@shop.example", "c1", "--json").good().json["added"] is False
    planned = identity("plan", "--json").good().json
    assert planned["counts"]["split"] >= 1
    assert "ada@shop.example" in [each["email"] for each in planned["changes"]], planned
    assert "split" in identity("plan").good().out
    (root / "identity.yml").unlink()
    assert "Nothing would change" in identity("plan").good().out


def test_block_is_planned(identity: Callable[..., Ended]) -> None:
    identity("block", "+1 (415) 555-2671").good()
    planned = identity("plan", "--json").good().json
    assert sum(planned["counts"].values()) == 1
    assert identity("block", "+1 (415) 555-2671", "--json").good().json["added"] is False


def test_one_identifier_cannot_be_unlinked_from_itself(identity: Callable[..., Ended], root: Path) -> None:
    ended = identity("unlink", "ada@shop.example", "email:ADA@shop.example")
    assert ended.code == 2
    assert not (root / "identity.yml").exists()
