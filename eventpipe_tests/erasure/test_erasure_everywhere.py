"""An erased person is in no file, no table and no history, nothing brings them back, and nothing fires because of it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.errors import EventpipeError
from eventpipe.failpoints import REMOVAL_POINTS, VARIABLE, FailPointReached
from eventpipe.ops import erasures
from eventpipe.ops.erasures import Erasure
from eventpipe.ops.store import OpsStore
from eventpipe.project.corrections import FILE
from eventpipe.project.folder import load_project
from eventpipe_tests import builders
from eventpipe_tests.builders import event
from eventpipe_tests.erasure.story import (
    CANARIES,
    DEVICE,
    ID,
    MAIL,
    NEXT_DAY,
    WITHOUT_HER,
    asked,
    erased,
    found,
    shop,
    who,
)
from eventpipe_tests.pipeline.published import Tables, assert_same
from eventpipe_tests.pipeline.shop import Shop

# These say how many lines were rejected, and why.
_OF_REJECTS = ("rejected_events", "event_profile", "property_profile", "ledger")


def without_rejects(tables: Tables) -> Tables:
    return {name: table for name, table in tables.items() if name not in _OF_REJECTS}


def decisions(made: Shop) -> list[dict[str, Any]]:
    with duckdb.connect(str(made.project.analytics), read_only=True) as connection:
        return (
            connection.execute(
                "select automation, status, reason, contact_id, occasion, payload, trigger_id from trigger_decisions"
                " left join (select trigger_id, payload from automation_triggers) using (trigger_id) order by all"
            )
            .pl()
            .to_dicts()
        )


def outcomes(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter((row["automation"], row["status"], row["reason"]) for row in rows)


class Before:
    """The shop before the erasure."""

    def __init__(self, folder: Path) -> None:
        self.shop = asked(folder)
        self.person = who(self.shop)
        self.decisions = decisions(self.shop)

    def copy(self, folder: Path) -> Shop:
        shutil.copytree(self.shop.project.root, folder)
        return Shop(load_project(folder, {}))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    return Before(tmp_path_factory.mktemp("before") / "shop")


class After(Before):
    """The shop after it, the receipt, and where something of her was while somebody else had the ops store open."""

    def __init__(self, before: Before, folder: Path) -> None:
        self.shop = before.copy(folder)
        self.person = before.person
        with OpsStore.open(self.shop.project.ops) as watched, watched.read() as connection:
            assert erasures.listed(connection) == []
            connection.rollback()  # it stays open, and the journal of the file with it
            [self.erasure] = erased(self.shop, self.person)
            self.places = found(self.shop, *self.person.contact_ids)
        self.decisions = decisions(self.shop)


@pytest.fixture(scope="module")
def after(before: Before, tmp_path_factory: pytest.TempPathFactory) -> After:
    return After(before, tmp_path_factory.mktemp("after") / "shop")


def test_before_she_is_in_all_the_places_that_are_looked_at(before: Before) -> None:
    """Otherwise the next test could not fail."""
    places = found(before.shop, *before.person.contact_ids)
    assert {"analytics.duckdb", "warehouse.duckdb", "ops.db", "identity.yml"} <= places.keys()
    assert any(name.startswith("lake/") for name in places)
    assert any(name.startswith("outbox/") for name in places)
    assert set(before.person.contact_ids) <= {each for named in places.values() for each in named}
    assert {canary for named in places.values() for canary in named} >= set(CANARIES)


def test_nothing_of_her_is_left(after: After) -> None:
    assert after.places == {}


def test_the_tables_are_those_of_a_shop_that_never_could_read_her_lines(after: After, tmp_path: Path) -> None:
    never = shop(tmp_path, WITHOUT_HER)
    assert_same(without_rejects(after.shop.tables()), without_rejects(never.tables()), by=("erased", "never read"))
    rejected = [row["reasons"] for row in after.shop.tables()["rejected_events"].records()]
    assert Counter(map(tuple, rejected)) == {("identifier.erased",): 6, ("json.invalid",): 1}


def test_what_was_decided_is_still_counted_and_names_nobody(before: Before, after: After) -> None:
    waited = [row for row in before.decisions if row["status"] == "waiting"]
    assert len(waited) == 2, "hers and bob's"
    expected = outcomes(before.decisions)
    expected[("later", "waiting", None)] -= 1
    expected[("later", "skipped", "erased")] += 1
    assert outcomes(after.decisions) == +expected
    theirs = [row for row in after.decisions if row["contact_id"].startswith("erased:")]
    assert {row["contact_id"] for row in theirs} & set(before.person.contact_ids) == set()
    assert len({row["contact_id"] for row in theirs}) == 1
    assert {row["payload"] for row in theirs if row["trigger_id"]} == {"{}"}
    assert len({(row["automation"], row["occasion"]) for row in after.decisions}) == len(after.decisions)


def test_the_receipt_tells_what_was_removed_and_not_of_whom(after: After) -> None:
    receipt = dict(after.erasure.receipt)
    assert after.erasure.ended_at is not None
    assert after.erasure.people == ()
    assert receipt.pop("still_in_exports") == ["web/2026-01-05/events.jsonl"]
    assert receipt == {
        "exports": 1,
        "accepted_lines": 4,
        "rejected_lines": 2,
        "events_of_others": 1,
        "decisions": 3,
        "triggers": 2,
        "deliveries": 1,
        "delivered_to_files": 1,
        "memberships": 1,
        "contact_id_changes": 0,
        "corrections": 1,
        "named_in": [],
    }
    assert "qa@x.example" in (after.shop.project.root / FILE).read_text()


def test_nothing_brings_her_back(after: After, tmp_path: Path) -> None:
    """Her exports again, from new ones, and a rebuild; somebody else on her device is somebody else."""
    shutil.copytree(after.shop.project.root, tmp_path / "again")
    made = Shop(load_project(tmp_path / "again", {}))
    with OpsStore.open(made.project.ops) as store:
        stones = erasures.tombstones_in(store)
    builders.land(made.project, again=True, tombstones=stones)
    new = [
        event(event_name="order.completed", email=MAIL, customer_id=None, value=5, occurred_at="2026-01-06T10:00:00Z"),
        event(event_name="order.completed", customer_id=ID, value=5, occurred_at="2026-01-06T10:00:00Z"),
        event(customer_id="zoe", anonymous_id=DEVICE, occurred_at="2026-01-06T10:00:00Z"),
    ]
    made.put("web", "2026-01-06", "new.jsonl", builders.lines(*new))
    fired = outcomes(after.decisions)
    tables = made.run(NEXT_DAY, full_refresh=True)
    assert found(made, *after.person.contact_ids) == {}
    assert {row["customer_id"] for row in tables["contacts"].records()} == {"bob", "eve", "zoe"}
    now_fired = outcomes(decisions(made)) - fired
    assert set(now_fired) <= {("looker", "fired", None), ("later", "fired", None)}, "zoe looked; bob's wait is over"


def test_an_erasure_that_is_cut_short_is_finished_and_no_other_run_begins_before(
    before: Before, after: After, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = before.copy(tmp_path / "shop")
    with pytest.raises(EventpipeError):
        _cut(monkeypatch, made, "erase.recorded:raise", asks=True)
    with pytest.raises(EventpipeError, match="erase --resume"):
        made.run(NEXT_DAY)
    for fail_at in ("lake.written:raise", "lake.committed:raise", *(f"{point}:raise" for point in REMOVAL_POINTS[2:])):
        with pytest.raises(FailPointReached):
            _cut(monkeypatch, made, fail_at)
    [done] = erased(made)
    assert found(made, *before.person.contact_ids) == {}
    assert_same(made.tables(), after.shop.tables(), by=("cut short", "in one go"))
    assert outcomes(decisions(made)) == outcomes(after.decisions)
    assert _without_places(done) == _without_places(after.erasure)
    assert erased(made) == []


def _cut(monkeypatch: pytest.MonkeyPatch, made: Shop, fail_at: str, *, asks: bool = False) -> None:
    monkeypatch.setenv(VARIABLE, fail_at)
    try:
        erased(made, *([who(made)] if asks else []))
    finally:
        monkeypatch.delenv(VARIABLE)


def _without_places(erasure: Erasure) -> Mapping[str, Any]:
    """A file that was written and not counted is found clean the next time."""
    uncounted = ("exports", "accepted_lines", "rejected_lines", "events_of_others", "still_in_exports")
    return {name: count for name, count in erasure.receipt.items() if name not in uncounted}
