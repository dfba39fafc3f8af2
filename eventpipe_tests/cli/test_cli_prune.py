"""`eventpipe prune` shows what would go, asks, and takes it out."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from eventpipe_tests.cli.conftest import Ended, Shop, eventpipe

Call = Callable[..., Ended]


def test_what_would_go_is_shown_and_asked_for_before_it_goes(own_shop: Shop, call: Call) -> None:
    root = own_shop.root
    assert "nothing to prune" in call("prune", "--yes", "--project", root).good().out
    day = min((root / "exports" / "redo").iterdir())
    landed = {"exports": len([*(root / "exports" / "redo").rglob("*.*")]), "gone": len([*day.iterdir()])}
    shutil.rmtree(day)

    refused = call("prune", "--project", root)
    assert refused.code == 2
    assert "add --yes, or --dry-run" in refused.err
    assert f"{landed['gone']} of {landed['exports']}" in call("prune", "--dry-run", "--project", root).good().out
    told = call("prune", "--dry-run", "--json", "--project", root).good().json
    assert told["pruned"] == 0
    [redo] = told["gone"]
    assert (redo["source"], redo["exports"], redo["first_landed_on"]) == ("redo", landed["gone"], day.name)
    assert redo["accepted"] > 0

    without = eventpipe("prune", "--yes", "--project", root, EVENTPIPE_SPARK="yarn", JAVA_HOME="/nowhere")
    assert (without.code, "engine.spark names a master" in without.err) == (2, True), "before anything is gone"
    assert len(call("prune", "--dry-run", "--json", "--project", root).good().json["gone"]) == 1
    cut = eventpipe("prune", "--yes", "--project", root, EVENTPIPE_FAIL_AT="lake.removed:kill")
    assert cut.code < 0
    held = eventpipe("run", "--project", root)
    assert held.code == 1
    assert "eventpipe prune --resume" in held.err
    done = eventpipe("prune", "--resume", "--json", "--project", root).good().json
    assert done["pruned"] == landed["gone"] - 1, "one was taken out before"
    assert done["run"]["kind"] == "prune"
    left = own_shop.report["tables"]["event_versions"] - redo["accepted"]
    assert done["run"]["tables"]["event_versions"] == left
    assert call("prune", "--dry-run", "--json", "--project", root).good().json["gone"] == []


def test_a_range_without_a_day_is_wrong_usage(own_shop: Shop, call: Call) -> None:
    given = ("--from", "2026-01-02", "--to", "2026-01-01", "--dry-run")
    assert call("prune", *given, "--project", own_shop.root).code == 2
