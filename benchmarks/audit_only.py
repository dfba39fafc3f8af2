"""The audit alone in a process of its own: `python -m benchmarks.audit_only PROJECT`.

The project was run once; what that run made is profiled and judged again, as much as it was then. Prints seconds as JSON: of
the profile's models (the models' own times), of the dbt tests, of importing Great Expectations, of all other checks.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from eventpipe.audit.audit import audit
from eventpipe.audit.judge import Judge
from eventpipe.audit.suites import library
from eventpipe.project.folder import load_project
from eventpipe.warehouse.database import connect
from eventpipe.warehouse.dbt import Dbt, Node

_SLOWEST = 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_only", description="Audit a project again.")
    parser.add_argument("project", type=Path, help="the folder of a project that was run once; it is changed")
    project = load_project(parser.parse_args().project, {})
    dbt = Dbt(project)
    dbt.manifest()
    with closing(connect(project)) as connection:
        found = connection.execute("select as_of from run.parameters").fetchone()
        assert found is not None
        profile = dbt.run("path:models/profile")
        tests: list[Node] = []
        seconds = {
            "profile": sum(node.seconds for node in profile),
            "tests": _timed(lambda: tests.extend(dbt.run("*", command="test"))),
            "import": _timed(library),
            "checks": _timed(
                lambda: audit(connection, project, Judge().ask, lambda: tests, as_of=found[0], published=())
            ),
        }
    slowest = sorted([*profile, *tests], key=lambda node: node.seconds, reverse=True)[:_SLOWEST]
    print(json.dumps({**seconds, "slowest": {node.name: round(node.seconds, 2) for node in slowest}}))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
