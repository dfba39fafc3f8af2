"""`eventpipe erase` shows who it is, asks, and gives a receipt."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eventpipe_tests.cli.conftest import Ended, Shop, eventpipe

Call = Callable[..., Ended]
WHO = "select contact_id, email, event_count from contacts where email is not null order by event_count desc limit 2"


@pytest.mark.parametrize("given", [(), ("jane@x.example", "--resume"), ("--resume", "--receipts")])
def test_exactly_one_thing_is_asked_for(shop: Shop, call: Call, given: tuple[str, ...]) -> None:
    assert call("erase", *given, "--project", shop.root).code == 2


def test_without_a_terminal_nobody_is_asked_and_nothing_done(shop: Shop, call: Call) -> None:
    refused = call("erase", "jane@x.example", "--project", shop.root)
    assert refused.code == 2
    assert "add --yes" in refused.err
    assert call("erase", "--receipts", "--project", shop.root).good().out == "Nobody was erased.\n"


def test_whom_nobody_knows_is_said_and_can_be_kept_out_all_the_same(own_shop: Shop, call: Call) -> None:
    root = own_shop.root
    unknown = call("erase", "nobody@x.example", "--yes", "--project", root)
    assert unknown.code == 1
    assert "say with --type what it is" in unknown.err
    assert call("erase", "nobody@x.example", "--type", "mail", "--yes", "--project", root).code == 2


def test_people_are_erased_and_the_receipt_kept(own_shop: Shop, call: Call) -> None:
    root = own_shop.root
    people = call("query", WHO, "--json", "--project", root).good().json
    events, hers = own_shop.report["tables"]["events"], sum(each["event_count"] for each in people)
    first, second = (each["email"] for each in people)
    refused = eventpipe("erase", first, "--yes", "--project", root, EVENTPIPE_SPARK="yarn", JAVA_HOME="/nowhere")
    assert (refused.code, "engine.spark names a master" in refused.err) == (2, True), "before anything is gone"
    assert call("erase", "--receipts", "--json", "--project", root).good().json["erasures"] == []
    done = eventpipe("erase", first.upper(), second, people[1]["contact_id"], "--yes", "--project", root).good()
    assert done.err.count("One contact with") == 2
    assert "still name them" in done.out
    [kept] = call("erase", "--receipts", "--json", "--project", root).good().json["erasures"]
    assert kept["receipt"]["accepted_lines"] >= hers
    assert not any(each in str(kept) for each in (first, second))
    left = call("query", "select count(*) as n from events", "--json", "--project", root).good().json
    assert left == [{"n": events - hers}]
    assert call("contact", "show", second, "--project", root).code == 1
    assert call("status", "--json", "--project", root).good().json["runs"][0]["kind"] == "erase"


def test_status_tells_of_an_erasure_that_has_not_ended_and_nothing_else_goes_on(own_shop: Shop, call: Call) -> None:
    root = own_shop.root
    given = ("erase", "nobody@x.example", "--type", "email", "--yes", "--project", root)
    assert eventpipe(*given, EVENTPIPE_FAIL_AT="erase.recorded:kill").code < 0
    assert "`eventpipe erase` began" in call("status", "--project", root).good().out
    assert len(call("status", "--json", "--project", root).good().json["unfinished_removals"]) == 1
    for command in ("run", "deliver"):
        held = eventpipe(command, "--project", root)
        assert held.code == 1
        assert "eventpipe erase --resume" in held.err
