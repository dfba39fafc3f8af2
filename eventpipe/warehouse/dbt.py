"""dbt in this process: imports and parsing are paid once a run, and the engine's one instance is shared.

The working files (parsed project, run results, logs) lie under the project's state folder, so that many projects use
one installed dbt project side by side.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import eventpipe
from eventpipe.errors import StageFailed
from eventpipe.project.folder import Project

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


@dataclass(frozen=True)
class Node:
    """The outcome of one model or test. `failures` counts a test's failing rows."""

    unique_id: str
    name: str
    kind: str
    status: str
    seconds: float
    failures: int | None
    message: str | None
    severity: str


def project_dir() -> Path:
    """The dbt project: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(eventpipe.__file__).parent
    inside = package / "_dbt_project"
    return inside if inside.is_dir() else package.parent / "dbt_project"


class Dbt:
    """The dbt project applied to one eventpipe project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._manifest: Manifest | None = None
        self.target = project.state / "dbt" / "target"

    def run(self, *select: str, command: str = "run") -> list[Node]:
        """Run the selected models (or, with `command='test'`, tests), in order of their dependencies.

        Errors: `StageFailed` when a model fails; failing tests are returned, not raised.
        """
        from dbt.cli.main import (
            dbtRunner,
        )  # imported late: it costs a second that other commands need not pay

        self.target.mkdir(parents=True, exist_ok=True)
        os.environ["EVENTPIPE_WAREHOUSE_FILE"] = str(self._project.warehouse)
        os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
        runner = dbtRunner(manifest=self._manifest)
        result = runner.invoke([command, *self._options(), "--select", *select])
        if self._manifest is None:
            self._manifest = self._parsed(runner)
        if result.exception is not None or result.result is None:
            raise StageFailed(
                f"dbt {command} could not start: {str(result.exception).strip()[:500]} (log: {self._project.state}/dbt/logs)"
            )
        nodes = [_node(each) for each in result.result.results]
        failed = [node for node in nodes if node.kind == "model" and node.status != "success"]
        if failed:
            first = failed[0]
            raise StageFailed(
                f"The model {first.name} failed: {_one_line(first.message)} The published tables are untouched; "
                f"the next run starts from the lake. (log: {self._project.state}/dbt/logs/dbt.log)"
            )
        return nodes

    def _parsed(self, runner: Any) -> Manifest | None:
        return runner.manifest if isinstance(getattr(runner, "manifest", None), object) else None

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
    )


def _one_line(message: str | None) -> str:
    return " ".join((message or "no message").split())[:400]
