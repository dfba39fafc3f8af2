"""dbt in this process: imports and parsing are paid once a run, and the engine's one instance is shared.

The working files (run results, logs) lie under the project's state folder, so that many projects use one installed dbt
project side by side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from eventpipe.errors import StageFailed
from eventpipe.project.environment import WAREHOUSE_FILE
from eventpipe.project.folder import Project
from eventpipe.warehouse import parsed
from eventpipe.warehouse.parsed import project_dir

if TYPE_CHECKING:
    from pathlib import Path

    from dbt.contracts.graph.manifest import Manifest

NOTHING_MADE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Node:
    """The outcome of one model or test. `failures` counts a test's failing rows; `about` is the model it reads."""

    unique_id: str
    name: str
    kind: str
    status: str
    seconds: float
    failures: int | None
    message: str | None
    severity: str
    about: str = ""
    sql: str = ""
    """The file with its SQL, as dbt rendered it."""


@dataclass(frozen=True)
class Compiled:
    """A model as dbt renders it for the working database as it stands."""

    schema: str
    name: str
    materialized: str
    tags: frozenset[str]
    sql: str


class Dbt:
    """The dbt project applied to one eventpipe project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._manifest: Manifest | None = None
        self.target = project.state / "dbt" / "target"

    def run(self, *select: str, command: str = "run", made: Mapping[str, str] = NOTHING_MADE) -> list[Node]:
        """Run the selected models (or, with `command='test'`, tests), in order of their dependencies. Models of which `made`
        has the rows, as a relation of the working database, are filled with those.

        Errors: `StageFailed` when a model fails; failing tests are returned, not raised.
        """
        rows = ["--vars", json.dumps({"made": dict(made)}, ensure_ascii=False)] if made else []
        result = self._invoke(self._read(), command, "--select", *select, *rows)
        nodes = [_node(each) for each in result.results]
        failed = [node for node in nodes if node.kind == "model" and node.status != "success"]
        if failed:
            first = failed[0]
            raise StageFailed(
                f"The model {first.name} failed: {_one_line(first.message)} The published tables are untouched; "
                f"the next run starts from the lake. (its SQL: {first.sql})"
            )
        return nodes

    def compiled(self, *select: str) -> list[Compiled]:
        """The selected models, each after those that it reads. Errors: `StageFailed`."""
        result = self._invoke(self._read(), "compile", "--select", *select)
        nodes = {each.node.unique_id: each.node for each in result.results if each.node.resource_type == "model"}
        order = TopologicalSorter({name: node.depends_on.nodes for name, node in nodes.items()}).static_order()
        return [_compiled(nodes[name]) for name in order if name in nodes]

    def manifest(self) -> Path:
        """The parsed dbt project as a file, dbt's manifest.json.

        Errors: `StageFailed` when the dbt project cannot be parsed.
        """
        return parsed.manifest_json(self._parse, self.target.parent)

    def _read(self) -> Manifest:
        if self._manifest is None:
            self._manifest = parsed.manifest(self._parse, self.target.parent)
        return self._manifest

    def _parse(self) -> Manifest:
        made: Manifest = self._invoke(None, "parse")
        return made

    def _invoke(self, manifest: Manifest | None, command: str, *arguments: str) -> Any:
        from dbt.cli.main import dbtRunner  # late: it costs a second that other commands need not pay

        self.target.mkdir(parents=True, exist_ok=True)
        os.environ[WAREHOUSE_FILE] = str(self._project.warehouse)
        os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
        result = dbtRunner(manifest=manifest).invoke([command, *self._options(), *arguments])
        if result.exception is None and result.result is not None:
            return result.result
        if result.exception is not None and not isinstance(result.exception, Exception):
            raise result.exception  # an interrupt, which dbt catches like everything else
        raise StageFailed(
            f"dbt {command} ended early: {_why(result.exception)} The published tables are untouched; the next run starts "
            "from the lake."
        )

    def _options(self) -> list[str]:
        return [
            "--project-dir",
            str(project_dir()),
            "--profiles-dir",
            str(project_dir()),
            "--target-path",
            str(self.target),
            "--log-path",
            str(self._project.state / "dbt" / "logs"),
            "--quiet",
            "--no-use-colors",
            "--log-level",
            "none",
            "--no-write-json",  # a manifest of a megabyte with every invocation, which nobody reads
        ]


def _node(result: Any) -> Node:
    config = result.node.config
    return Node(
        unique_id=result.node.unique_id,
        name=result.node.name,
        kind=str(result.node.resource_type),
        status=str(result.status),
        seconds=float(result.execution_time),
        failures=result.failures,
        message=result.message,
        severity=str(getattr(config, "severity", "error")).lower(),
        about=_about(result.node),
        sql=str(getattr(result.node, "compiled_path", "") or ""),
    )


def _compiled(node: Any) -> Compiled:
    return Compiled(
        schema=node.schema,
        name=node.name,
        materialized=node.config.materialized,
        tags=frozenset(node.tags),
        sql=node.compiled_code,
    )


def _about(node: Any) -> str:
    """The model that a test is attached to, else the first that it reads; of a model, itself."""
    attached = getattr(node, "attached_node", None)
    read = [attached] if attached else [each for each in node.depends_on.nodes if each.startswith("model.")]
    return str(read[0]).rpartition(".")[2] if read and str(node.resource_type) == "test" else str(node.name)


def _why(error: Exception | None) -> str:
    """What ended dbt. Some exceptions have no words of their own, and dbt may end without one."""
    if error is None:
        return "it does not say why."
    said = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {said}" if said else f"{type(error).__name__}, without a message."


def _one_line(message: str | None) -> str:
    return " ".join((message or "no message").split())[:400]
