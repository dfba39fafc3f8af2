"""The dbt project as asset specs and check specs.

Here: names, groups, lineage, columns and checks, read from dbt's manifest. Not here: running anything (the
assets do, in this process, where dbt shares the engine's instance and its imports are paid once a run).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

LAKE: Final = "lake"
IDENTITY_SETS: Final = "identity_sets"
IDENTITY_NODES: Final = "identity_nodes"

_CONFIGURATION: Final = frozenset(
    {"parameters", "sources", "identifier_types", "definitions", "declared_properties", "rfm_settings", "rfm_segments"}
)
"""Tables of the plan that say how to compute, not of what: as edges they would tie everything to everything."""

_FOUND_OUT: Final = {
    "moved_sets": IDENTITY_SETS,
    "solved_before": IDENTITY_NODES,
    "gone_aliases": IDENTITY_NODES,
    "solved_components": IDENTITY_NODES,
    "merges": IDENTITY_NODES,
    "conflicts": IDENTITY_NODES,
}
"""Tables of the schema `run` that the identity step writes beside its assets."""

_GROUPS: Final = {"resolve": "resolve", "marts": "model", "profile": "model"}
"""The group of each folder of models: the stage that executes it."""


@dataclass(frozen=True)
class Model:
    """A dbt model. `relation` is its place in the working database. What lies in its schema main is published."""

    unique_id: str
    name: str
    relation: str
    is_view: bool
    is_published: bool
    spec: dg.AssetSpec


@dataclass(frozen=True)
class Test:
    """A dbt test. Failing, unless it only warns, it holds the publish back."""

    __test__ = False  # for pytest, which collects classes of this name

    unique_id: str
    spec: dg.AssetCheckSpec


@dataclass(frozen=True)
class Models:
    """The models of the two stages that run models, and the tests of all of them."""

    resolve: tuple[Model, ...]
    marts: tuple[Model, ...]
    tests: tuple[Test, ...]

    @property
    def published(self) -> tuple[Model, ...]:
        """The models that people read."""
        return tuple(model for model in self.marts if model.is_published)


class Translator(DagsterDbtTranslator):
    """dbt's names without a prefix. What stages in Python write is an asset of theirs, not a dbt source."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_metadata=False))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The model's name; for a source, the asset whose step writes it."""
        name = str(dbt_resource_props["name"])
        is_source = dbt_resource_props["resource_type"] == "source"
        if not is_source or dbt_resource_props["source_name"] == "identity":
            return dg.AssetKey(name)
        if name in _CONFIGURATION:
            return dg.AssetKey(["run", name])
        if dbt_resource_props["source_name"] in ("segments", "automations"):
            # Written after the models, which only show it: as an edge it would run against the order of the stages.
            return dg.AssetKey([str(dbt_resource_props["source_name"]), name])
        # The rest of the schema `run` is the plan, made of the lake; what moved, the identity step finds out.
        return dg.AssetKey(_FOUND_OUT.get(name, LAKE))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The stage, by the model's folder."""
        fqn: Sequence[str] = dbt_resource_props["fqn"]
        return _GROUPS.get(fqn[1], fqn[1]) if len(fqn) > 2 else None

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG002
        """None: dbt's tags say what the group says."""
        return {}


def read_models(manifest_file: Path) -> Models:
    """The models of a manifest.json, each after those that it reads, and its tests by name."""
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    translator = Translator()
    nodes = sorted(manifest["nodes"].values(), key=lambda node: str(node["name"]))
    reads = {node["unique_id"]: node["depends_on"]["nodes"] for node in nodes if _is(node, "model")}
    ordered = [each for each in TopologicalSorter(reads).static_order() if each in reads]
    models = {each: _model(translator, manifest, manifest["nodes"][each]) for each in ordered}
    tests = [_test(node, models) for node in nodes if _is(node, "test")]
    return Models(
        resolve=tuple(model for model in models.values() if model.spec.group_name == "resolve"),
        marts=tuple(model for model in models.values() if model.spec.group_name == "model"),
        tests=tuple(test for test in tests if test is not None),
    )


def _is(node: Mapping[str, Any], kind: str) -> bool:
    return node["resource_type"] == kind and node["config"]["enabled"] is True


def _model(translator: Translator, manifest: Mapping[str, Any], node: Mapping[str, Any]) -> Model:
    spec = translator.get_asset_spec(manifest, node["unique_id"], None)
    return Model(
        unique_id=node["unique_id"],
        name=node["name"],
        relation=f"{node['schema']}.{node['alias']}",
        is_view=node["config"]["materialized"] == "view",
        is_published=node["schema"] == "main",
        spec=spec.replace_attributes(
            deps=[dep for dep in spec.deps if len(dep.asset_key.path) == 1],
            # Without what dagster-dbt keeps for running dbt itself, which people would see as metadata.
            metadata={
                key: value
                for key, value in spec.metadata.items()
                if not key.startswith(("dagster_dbt/", "dagster-dbt/"))
            },
        ),
    )


def _test(node: Mapping[str, Any], models: Mapping[str, Model]) -> Test | None:
    """None for a test of nothing but sources: it holds back like any other, but there is no asset to show it at."""
    about = [models[parent] for parent in node["depends_on"]["nodes"] if parent in models]
    if not about:
        return None
    attached = models.get(node.get("attached_node") or "")
    asset = attached or next((model for model in about if model.is_published), about[0])
    return Test(
        node["unique_id"],
        dg.AssetCheckSpec(
            name=node["name"],
            asset=asset.spec.key,
            description=_description(node),
            additional_deps=[model.spec.key for model in about if model is not asset],
            # The publish waits for these. A stage before the audit that waited for it would wait for ever.
            blocking=asset.is_published and str(node["config"]["severity"]).lower() == "error",
        ),
    )


def _description(node: Mapping[str, Any]) -> str:
    """What the yml says; else the comment that the test's SQL begins with; else the generic test and its column."""
    if node["description"]:
        return str(node["description"])
    generic = node.get("test_metadata")
    if generic:
        return f"{generic['name']}: {node['column_name']}" if node["column_name"] else str(generic["name"])
    comment = re.match(r"(?:\s*--[^\n]*\n)+", node["raw_code"])
    return " ".join(re.findall(r"--\s*(.*)", comment[0])) if comment else str(node["name"])
