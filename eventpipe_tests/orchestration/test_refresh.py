"""The job `refresh`, run in process on a small project, and what Dagster shows of it afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from eventpipe.definitions import build_defs
from eventpipe.defs.models import read_models
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.warehouse.dbt import Dbt
from eventpipe_tests.builders import event, export
from eventpipe_tests.orchestration.shop import FIRST, SECOND, Shop, refresh


def test_the_outcome_tells_what_every_stage_did(shop: Shop) -> None:
    outcome = shop.outcome
    assert [stage.name for stage in outcome.stages] == [
        "land",
        "resolve",
        "identify",
        "model",
        "segment",
        "audit",
        "decide",
        "publish",
    ]
    assert {each.key.file: each.outcome for each in outcome.landed} == {
        "events.jsonl": "landed",
        "broken.jsonl.gz": "refused",
    }
    assert (outcome.counts.lines_accepted, outcome.counts.lines_rejected) == (5, 1)
    assert outcome.plan.new_exports == 2
    assert outcome.published.rows["events"] == 5


def test_the_run_has_one_id_in_the_ops_store_and_in_dagster(shop: Shop) -> None:
    with OpsStore.open(shop.project.ops) as store:
        recorded = next(run for run in runs.recent(store, 50) if run.run_id == shop.run_id)
    assert (recorded.status, recorded.kind) == ("published", "run")
    with shop.instance() as instance:
        run = instance.get_run_by_id(shop.run_id)
        assert run is not None
        assert (run.job_name, run.status) == ("refresh", dg.DagsterRunStatus.SUCCESS)


def test_everything_is_materialised_and_checked(shop: Shop) -> None:
    graph = build_defs(shop.project).resolve_asset_graph()
    materialised = {each.asset_key for each in materialisations(shop)}
    elsewhere = dg.AssetKey("deliveries")  # by a job of its own
    assert materialised == graph.executable_asset_keys - {elsewhere}
    evaluated = {
        (each.asset_key, each.check_name): each for each in events(shop, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    }
    assert set(evaluated) == {(key.asset_key, key.name) for key in graph.asset_check_keys if key.asset_key != elsewhere}
    tests = {test.spec.name for test in read_models(Dbt(shop.project).manifest()).tests}
    # Three days after its last export a source is stale.
    failed = {name: each for (_, name), each in evaluated.items() if not each.passed}
    assert failed.keys() == {"freshness", "events_have_two_identifiers"}
    assert {each.severity for each in failed.values()} == {dg.AssetCheckSeverity.WARN}
    assert all(each.metadata["failures"].value == 0 for (_, name), each in evaluated.items() if name in tests)
    told = {name: each.metadata for (_, name), each in evaluated.items()}
    assert told["accepted_events_are_not_ahead"]["rows"].value == 5
    rows = told["events_have_two_identifiers"]
    assert (rows["rows"].value, rows["unexpected"].value) == (5, 4)
    assert rows["failing"].value.splitlines() == [
        "| source | event_name | events |",
        "| --- | --- | ---: |",
        "| web | page.seen | 2 |",
        "| crm | page.seen | 1 |",
        "| web | (withheld) | 1 |",
    ]


def test_assets_show_rows_rejects_bytes_and_seconds(shop: Shop) -> None:
    lake = shown(shop, "lake")
    assert lake["dagster/row_count"] == 6
    assert (lake["accepted"], lake["rejected"], lake["blank"], lake["exports"]) == (5, 1, 0, 3)
    assert (lake["exports_landed"], lake["exports_refused"]) == (2, 1)
    assert lake["bytes"] > 0
    assert lake["seconds"] > 0
    assert str(lake["refused"]).startswith("1 ")
    assert shown(shop, "reports")["new_exports"] == 2
    assert shown(shop, "events")["dagster/row_count"] == 5
    assert shown(shop, "events")["seconds"] > 0
    assert shown(shop, "identity_nodes")["solved"] > 0
    analytics = shown(shop, "analytics")
    assert analytics["bytes"] == shop.outcome.published.bytes
    assert analytics["run_id"] == shop.run_id
    assert "| contacts | " in analytics["tables"]


def test_the_models_declare_the_types_of_the_tables(shop: Shop, manifest: Path) -> None:
    """What Dagster and dbt's documentation show of every published column."""
    models = [each for each in json.loads(manifest.read_text())["nodes"].values() if each["resource_type"] == "model"]
    declared = {
        (model["name"], name): column["data_type"]
        for model in models
        for name, column in model["columns"].items()
        if model["schema"] == "main"
    }
    with duckdb.connect(str(shop.project.analytics), read_only=True) as connection:
        columns = connection.execute(
            "select table_name, column_name, lower(data_type) from duckdb_columns()"
        ).fetchall()
    found = {(table, name): kind.replace("timestamp with time zone", "timestamptz") for table, name, kind in columns}
    assert declared == {key: found[key] for key in declared}
    assert ("contact_rfm", "btyd_monetary") in declared


def test_previews_count(shop: Shop) -> None:
    assert shown(shop, "lake")["preview"].splitlines() == [
        "| source | exports | accepted | rejected | blank |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| crm | 1 | 1 | 0 | 0 |",
        "| web | 2 | 4 | 1 | 0 |",
    ]
    assert "| page.seen | 3 |" in shown(shop, "events")["preview"]
    assert shown(shop, "rejected_events")["preview"].endswith("| json.invalid | 1 |")
    assert "| known | " in shown(shop, "contacts")["preview"]


def test_landing_dates_are_marked_where_something_was_new(shop: Shop) -> None:
    with shop.instance() as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("lake")) >= {str(FIRST), str(SECOND)}
    marked = {each.partition: each for each in materialisations(shop, "lake")}
    assert set(marked) == {str(FIRST), str(SECOND), None}
    first = {name: value.value for name, value in marked[str(FIRST)].metadata.items()}
    assert (first["dagster/partition_row_count"], first["accepted"], first["rejected"]) == (5, 4, 1)
    assert marked[str(SECOND)].metadata["exports"].value == 2


def test_a_later_run_marks_only_what_changed_and_says_nothing(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    day = SECOND.replace(day=8)
    export(shop.project, [event(occurred_at="2026-01-08T09:00:00Z")], source="crm", day=day)
    run_id, outcome = refresh(shop.project)
    later = Shop(shop.project, outcome, run_id)
    assert {each.partition for each in materialisations(later, "lake")} == {str(day), None}
    assert outcome.published.rows["events"] == 6
    assert capfd.readouterr() == ("", ""), "Dagster talks on the terminal"


def events(shop: Shop, kind: dg.DagsterEventType) -> list[Any]:
    with shop.instance() as instance:
        logged = instance.all_logs(shop.run_id, of_type=kind)
    data = [entry.dagster_event.event_specific_data for entry in logged if entry.dagster_event]
    return [getattr(each, "materialization", each) for each in data]


def materialisations(shop: Shop, asset: str | None = None) -> list[dg.AssetMaterialization]:
    found = events(shop, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return [each for each in found if asset is None or each.asset_key == dg.AssetKey(asset)]


def shown(shop: Shop, asset: str) -> dict[str, Any]:
    """The metadata of the asset as a whole."""
    [found] = [each for each in materialisations(shop, asset) if each.partition is None]
    return {name: value.value for name, value in found.metadata.items()}
