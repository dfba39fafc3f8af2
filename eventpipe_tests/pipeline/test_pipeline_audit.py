"""The audit: each dbt test fails when what it tests is broken, and then nothing is published."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from eventpipe.errors import AuditHeld, StageFailed
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.warehouse.database import connect
from eventpipe_tests.builders import event, lines
from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.histories import put
from eventpipe_tests.pipeline.published import assert_same
from eventpipe_tests.pipeline.shop import Shop

AS_OF = worlds.AS_OF[1]

DAMAGE: Mapping[str, tuple[str, ...]] = {
    "contacts_count_their_events": (
        "update contacts set event_count = event_count + 1 where rowid = 0",
        "delete from contact_goals where rowid = 0",
        "update contact_goals set value_sum = value_sum + 0.0001"
        " where rowid = (select min(rowid) from contact_goals where value_sum is not null)",
    ),
    "timeline_tells_of_every_deletion": (
        "update event_history set entry_type = null"
        " where rowid = (select min(rowid) from event_history where entry_type = 'event.deleted')",
        "update events set deletion = 'deleted'"
        " where rowid = (select min(rowid) from events where version_count > 1 and deletion = 'unchanged')",
    ),
    "contacts_within_limits": (
        "update contact_identifiers set contact_id = (select min(contact_id) from contact_identifiers"
        " where workspace_id = 'world-00'), workspace_id = 'world-00' where identifier_type = 'customer_id'",
    ),
    "current_versions_are_events": (
        "delete from events where rowid = (select min(rowid) from events where version_count > 1)",
        "update event_history set status = 'superseded'"
        " where rowid = (select min(rowid) from event_history where status = 'current')",
    ),
    "goals_have_one_row": ("insert into contact_goals select * from contact_goals where rowid = 0",),
    "identifiers_have_one_holder": (
        "insert into contact_identifiers select * replace ('another' as contact_id)"
        " from contact_identifiers where rowid = 0",
    ),
    "ledger_adds_up": (
        "update ledger set blank = blank + 1 where rowid = 0",
        "update ledger set accepted = accepted - 1, rejected = rejected + 1 where rowid = 0",
        "delete from rejected_events where rowid = 0",
        "delete from events where rowid = (select min(rowid) from events where version_count = 1)",
        "delete from event_history where rowid = 0",
    ),
    "profile_counts_every_line": (
        "update event_profile set accepted = accepted + 1 where rowid = 0",
        "update event_profile set rejected = rejected - 1 where rowid = (select min(rowid) from event_profile)",
        "update event_catalog set accepted = accepted + 1 where rowid = 0",
    ),
    "profile_has_one_row": ("insert into event_profile select * from event_profile where rowid = 0",),
    "rfm_has_one_row": ("insert into contact_rfm select * from contact_rfm limit 1",),
    "rfm_money_is_in_the_goals": ("update contact_rfm set monetary = monetary + 0.0001",),
    "members_are_contacts": (
        "insert into segment_history (workspace_id, segment, contact_id) values ('default', 'vip', 'nobody')",
    ),
}
"""For each test in dbt_project/tests, changes to the working tables that it must notice."""


@dataclass(frozen=True)
class Audited:
    """A project after a good run: its tests as SQL, and what they are about."""

    shop: Shop
    compiled: Mapping[str, str]
    generic: Mapping[str, tuple[str, str, Sequence[str]]]
    """Tests of columns: kind, table, columns."""

    def failing(self, damage: str, among: Collection[str] = ()) -> set[str]:
        """The tests that fail on damaged tables, of all or of some. The damage is undone."""
        with connect(self.shop.project) as connection:
            connection.execute("begin")
            changed = connection.execute(damage).fetchone()
            assert changed is not None
            assert changed[0] > 0, damage
            asked = among or self.compiled
            failed = {name for name in asked if connection.execute(self.compiled[name]).fetchone()}
            connection.execute("rollback")
        return failed


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    shop = Shop(worlds.project(tmp_path_factory.mktemp("audited")), expects=True)
    put(shop, worlds.exports(Random(51), worlds=8, reports=30))
    shop.put("web", "2026-01-03", "bad.jsonl", b"{}\n\n{\n")
    # One order on two contacts, so that there is a conflict to be damaged.
    two = [
        event(customer_id=customer, order_id="o-two", occurred_at="2026-01-03T00:00:00Z") for customer in ("x1", "x2")
    ]
    # And an order before the last month's end, so that there is a snapshot.
    old = event(
        customer_id="x1", occurred_at="2025-12-20T00:00:00Z", goal_type="purchase", value="5.00", currency="USD"
    )
    shop.put("web", "2026-01-03", "conflict.jsonl", lines(*two, old))
    shop.run(AS_OF)
    paths = (shop.dbt.target / "compiled" / "eventpipe").rglob("*.sql")
    manifest = json.loads(shop.dbt.manifest().read_text())
    compiled, generic = {}, {}
    nodes = {Path(node["path"]).stem: node for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    for path in paths:
        if path.stem in nodes:
            compiled[path.stem] = path.read_text()
    for name, node in nodes.items():
        if test := node.get("test_metadata"):
            table = node["attached_node"].rpartition(".")[2]
            asked = test["kwargs"]
            generic[name] = (test["name"], table, asked.get("columns") or [asked["column_name"]])
    assert compiled.keys() == nodes.keys()
    return Audited(shop, compiled, generic)


def test_good_tables_pass(audited: Audited) -> None:
    assert audited.failing("update contacts set email = email") == set()


def test_each_arithmetic_test_fails_when_its_sum_is_off(audited: Audited) -> None:
    assert audited.compiled.keys() - audited.generic.keys() == DAMAGE.keys()
    for name, damages in DAMAGE.items():
        for damage in damages:
            assert audited.failing(damage, [name]), damage


def test_each_column_test_fails_on_one_bad_row(audited: Audited) -> None:
    for name, (kind, table, columns) in audited.generic.items():
        for column in columns:
            damage = {
                "never_null": f"update {table} set {column} = null where rowid = 0",
                "unique": f"insert into {table} select * from {table} where rowid = 0",
                "accepted_values": f"update {table} set {column} = 'something else' where rowid = 0",
                "relationships": f"update {table} set {column} = 'nobody' where rowid = 0",
            }[kind]
            assert audited.failing(damage, [name]), damage


def test_a_failed_audit_holds_the_publish_back(audited: Audited) -> None:
    shop = audited.shop
    published = shop.project.analytics.read_bytes()
    with pytest.raises(AuditHeld, match="contacts_count_their_events"):
        run_damaged(shop, "audit", DAMAGE["contacts_count_their_events"][0])
    assert shop.project.analytics.read_bytes() == published
    assert last_status(shop) == "held"


def test_a_model_that_fails_leaves_the_old_tables_and_the_next_run_starts_anew(audited: Audited) -> None:
    shop = audited.shop
    published, tables = shop.project.analytics.read_bytes(), shop.tables()
    with pytest.raises(StageFailed, match="identity_sets does not exist"):
        run_damaged(shop, "model", "drop table work.identity_sets")
    assert shop.project.analytics.read_bytes() == published
    assert last_status(shop) == "failed"
    assert_same(shop.run(AS_OF), tables, by=("the next run", "the last good one"))


def test_a_working_database_that_is_deleted_or_damaged_is_rebuilt(audited: Audited) -> None:
    shop = audited.shop
    tables = shop.tables()
    shop.project.warehouse.write_bytes(b"no database" * 1000)
    with pytest.raises(StageFailed, match="delete it and run again"):
        shop.run(AS_OF)
    assert_same(shop.tables(), tables)
    shop.project.warehouse.unlink()
    assert_same(shop.run(AS_OF), tables, by=("rebuilt", "before"))
    made = shop.project.warehouse.stat().st_size
    shop.run(AS_OF, full_refresh=True)
    assert shop.project.warehouse.stat().st_size < 1.6 * made, "old and new tables lie beside each other"


def run_damaged(shop: Shop, before: str, damage: str) -> None:
    """A run in which the working database is damaged before one of the stages."""
    with shop.refresh(AS_OF) as refresh:
        for stage in (
            refresh.land,
            refresh.resolve,
            refresh.identify,
            refresh.model,
            refresh.audit,
            refresh.publish,
        ):
            if stage.__name__ == before:
                with refresh.warehouse() as connection:
                    connection.execute(damage)
            stage()


def last_status(shop: Shop) -> str:
    with OpsStore.open(shop.project.ops) as store:
        run = runs.last(store)
    assert run is not None
    return run.status
