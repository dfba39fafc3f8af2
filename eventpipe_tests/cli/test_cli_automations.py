"""`eventpipe automations`, `deliver` and `deliveries`: what they say of a shop, and of one that fired."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eventpipe.automations.published import PublishedAutomations
from eventpipe.cli.options import now
from eventpipe.ops.place import is_made
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import load_project
from eventpipe.serving.file import open_published
from eventpipe_tests import builders
from eventpipe_tests.cli.conftest import Ended, Shop, clean_environment
from eventpipe_tests.delivery.fired import fire, project
from eventpipe_tests.delivery.receiver import SECRET, receiving

Call = Callable[..., Ended]


def test_the_starter_s_automations_are_active_after_the_first_run_and_quiet(shop: Shop, call: Call) -> None:
    rows = {
        each["automation"]: each
        for each in call("automations", "ls", "--project", shop.root, "--json").good().json["automations"]
    }
    assert {"cart_recovery", "welcome", "win_back", "vip_entry", "replenish_kitchen"} == set(rows)
    assert all(each["active_since"] and not any(each["decisions"].values()) for each in rows.values())
    assert "cart_recovery" in call("automations", "ls", "--project", shop.root).good().out


def test_why_says_that_a_sign_up_lies_in_the_past(shop: Shop, call: Call) -> None:
    query = "select contact_id from events where event_name = 'user.signed_up' and contact_id is not null limit 1"
    contact = call("query", query, "--json", "--project", shop.root).good().json[0]["contact_id"]
    told = call("automations", "why", "welcome", contact, "--project", shop.root, "--json").good().json
    assert told["decisions"] == []
    assert told["past"]
    assert "past" in call("automations", "why", "welcome", contact, "--project", shop.root).good().out


def test_plan_tells_what_the_next_run_does(shop: Shop, call: Call) -> None:
    rows = call("automations", "plan", "--project", shop.root, "--json").good().json["automations"]
    assert {each["state"] for each in rows} == {"same"}
    assert [each["occasions"] for each in rows] == [0] * 5, "the sample is older than 30 days"


def test_a_plan_counts_what_would_have_triggered_lately(shop: Shop) -> None:
    made = load_project(shop.root, os.environ)
    with open_published(made) as connection:
        found = PublishedAutomations(connection, made.automations, datetime(2026, 1, 31, tzinfo=UTC))
        matches = found.matches(found.named("welcome"))
        expected = connection.execute(
            "select count(*), count(distinct contact_id) from contact_timeline"
            " where event_name = 'user.signed_up' and entry_type = 'event' and occurred_at > timestamptz '2026-01-01'"
        ).fetchone()
    assert (matches.occasions, matches.contacts) == expected
    assert matches.contacts > 0


def test_a_wrong_name_is_a_wrong_argument(shop: Shop, call: Call) -> None:
    ended = call("automations", "why", "welcom", "someone", "--project", shop.root)
    assert (ended.code, "did you mean 'welcome'" in ended.err) == (2, True)


def test_fire_needs_somebody_who_answers(shop: Shop, call: Call) -> None:
    for command in (["run"], ["backfill", "--from", "2026-01-01", "--to", "2026-01-01"]):
        ended = call(*command, "--fire", "--project", shop.root)
        assert (ended.code, "--yes" in ended.err) == (2, True)


def test_fire_shows_the_number_and_asks_in_a_terminal(tmp_path: Path, call: Call) -> None:
    """No is no for the past alone; later a yes still finds it. Nothing draws over the question."""
    cart = {"name": "cart", "trigger": {"event": "checkout_started"}, "max_lateness": "3000d"}
    made = builders.project(tmp_path, automations=[cart])
    builders.export(made, [builders.event(event_name="checkout_started", customer_id=f"c{n}") for n in range(2)])

    def decisions() -> Any:
        (row,) = call("automations", "ls", "--project", made.root, "--json").good().json["automations"]
        return row["decisions"]["fired"]

    code, before, after = in_a_terminal("n\n", "run", "--fire", "--project", made.root)
    assert "This run fires 2 triggers" in before
    assert (code, decisions()) == (0, 0), after
    backfill = ("backfill", "--from", "2026-01-05", "--to", "2026-01-05", "--fire")
    code, before, after = in_a_terminal("y\n", *backfill, "--project", made.root)
    assert "This run fires 2 triggers" in before
    assert (code, decisions()) == (0, 2), after


def in_a_terminal(answer: str, *arguments: object) -> tuple[int, str, str]:
    """A command that asks something, in a terminal of its own: how it ended, what it wrote before it was answered, and
    after. What is asked must be left standing for a while."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "eventpipe", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=clean_environment(TERM="xterm"), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    before = after = ""
    while "[y/N]" not in before:
        before += os.read(ours, 4096).decode(errors="replace")
    ready, _, _ = select.select([ours], [], [], 0.4)  # a bar is drawn ten times a second
    before += os.read(ours, 4096).decode(errors="replace") if ready else ""
    assert before.rstrip(" ").endswith("[y/N]:"), before[-300:]
    os.write(ours, answer.encode())
    with contextlib.suppress(OSError):  # the terminal is gone with its last user
        while read := os.read(ours, 4096):
            after += read.decode(errors="replace")
    os.close(ours)
    return process.wait(), before, after


def test_deliveries_are_shown_sent_listed_and_replayed(tmp_path: Path, call: Call) -> None:
    with receiving() as receiver:
        made = project(
            tmp_path,
            {"cart": {"webhook": receiver.url(), "secret": SECRET}},
            deliver={"allow_hosts": [receiver.host]},
        )
        with OpsStore.open(made.ops) as store:
            (trigger_id,) = fire(store, "cart", ["c1"], at=now() - timedelta(minutes=1))

        def ask(*arguments: object) -> Any:
            return call(*arguments, "--project", made.root, "--json").good().json

        (due,) = ask("deliver", "--dry-run")["due"]
        assert (due["automation"], due["due"], due["deliver_to"]) == ("cart", 1, f"http://{receiver.host}")
        assert receiver.got == []
        receiver.answers["/ok"] = [500, 200]
        assert ask("deliver")["failed"] == 1
        assert ask("status")["deliveries"]["failing"] == 1
        assert "answered 500" in call("status", "--project", made.root).good().out
        (row,) = ask("deliveries", "ls", "--status", "pending")["deliveries"]
        assert (row["trigger_id"], row["last_error"]) == (trigger_id, "answered 500")
        assert ask("deliveries", "replay", trigger_id) == {"replayed": [trigger_id]}
        assert ask("deliver")["delivered"] == 1
        shown = ask("deliveries", "show", trigger_id)
        assert [each["status_code"] for each in shown["tried"]] == [500, 200]
        assert json.loads(receiver.got[0].body)["id"] == trigger_id
        assert receiver.url() not in call("deliveries", "ls", "--project", made.root).good().out
        for wrong in (
            ("deliveries", "show", "trg_x"),
            ("deliveries", "replay", "trg_x"),
            ("deliveries", "ls", "--status", "lost"),
        ):
            assert call(*wrong, "--project", made.root).code == 2


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["deliver"], ""),
        (["deliver", "--dry-run"], "Nothing is due."),
        (["deliveries", "ls"], "There are no deliveries yet"),
        (["deliveries", "ls", "--status", "dead"], "There is no such delivery."),
        (["automations", "ls"], ""),
    ],
)
def test_looking_at_a_project_that_never_ran_makes_nothing(
    tmp_path: Path, call: Call, command: list[str], told: str
) -> None:
    made = builders.project(tmp_path)
    assert told in call(*command, "--project", made.root).good().out
    assert not is_made(made.ops)
