"""The definitions: what is in the graph, and what people read of it."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import dagster as dg
import pytest

import eventpipe
from eventpipe.automations.history import TABLES as DECISION_TABLES
from eventpipe.definitions import build_defs
from eventpipe.defs.assets import PLANNED, SEGMENT_TABLES
from eventpipe.defs.models import Models, read_models
from eventpipe.defs.pictures import PICTURES
from eventpipe.defs.previews import PREVIEWS
from eventpipe.warehouse.dbt import Dbt
from eventpipe_tests.builders import project

GRAPH = Path(__file__).with_name("graph.txt")


@pytest.fixture
def definitions(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.setattr(Dbt, "manifest", lambda _: manifest)
    return build_defs(project(tmp_path))


@pytest.fixture
def models(manifest: Path) -> Models:
    return read_models(manifest)


def test_the_graph_is_the_reviewed_one(definitions: dg.Definitions) -> None:
    """After a change that is meant: UPDATE_SNAPSHOTS=1 pytest eventpipe_tests/orchestration/test_models.py"""
    graph = definitions.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        parents = ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys)) or "-"
        lines.append(f"{node.group_name}: {key.to_user_string()} <- {parents}")
    text = "\n".join(sorted(lines)) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        GRAPH.write_text(text, encoding="utf-8")
    assert text == GRAPH.read_text(encoding="utf-8")


STEPS = ("land", "resolve", "identify", "model", "segment", "decide", "publish", "deliver")


def test_every_asset_says_what_it_is(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert not spec.description.startswith("dbt model"), spec.key
        assert spec.kinds, spec.key
        assert spec.group_name in STEPS, spec.key


def test_a_range_of_partitions_is_one_run_for_every_asset(definitions: dg.Definitions) -> None:
    for asset in definitions.resolve_asset_graph().assets_defs:
        if asset.keys:
            assert asset.backfill_policy == dg.BackfillPolicy.single_run(), asset.keys


def test_columns_are_described(models: Models) -> None:
    for model in models.published:
        schema = model.spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert all(column.description for column in schema.columns), model.name


def test_only_published_tables_wait_for_their_checks(models: Models) -> None:
    published = {model.spec.key for model in models.published}
    assert models.tests
    for test in models.tests:
        assert not test.spec.blocking or test.spec.asset_key in published, test.spec.name
    assert any(test.spec.blocking for test in models.tests), "the publish would not wait for the audit"


def test_checks_say_what_they_check(models: Models) -> None:
    said = {test.spec.name: test.spec.description for test in models.tests}
    assert said["unique_events_event_id"] == "unique: event_id"
    assert str(said["ledger_adds_up"]).startswith("Promise 1: every line of every export is accepted")


def test_a_model_comes_after_those_that_it_reads(models: Models) -> None:
    for stage in (models.resolve, models.marts):
        names = [model.name for model in stage]
        for model in stage:
            for dep in model.spec.deps:
                if dep.asset_key.path[0] in names:
                    assert names.index(dep.asset_key.path[0]) < names.index(model.name)


def test_names_that_the_code_knows_are_those_of_models(models: Models) -> None:
    names = {model.name for model in (*models.resolve, *models.marts)}
    assert PLANNED in names
    assert set(PREVIEWS) - names == {"identity_nodes", *SEGMENT_TABLES, *DECISION_TABLES}
    assert PICTURES.keys() <= names


def test_only_the_definitions_know_dagster() -> None:
    package = Path(eventpipe.__file__).parent
    for path in package.rglob("*.py"):
        of = path.relative_to(package).parts
        if of[0] not in ("defs", "definitions.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                module = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                known = [name for name in (*names, *module) if name.split(".")[0].startswith("dagster")]
                assert not known, path
