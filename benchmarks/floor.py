"""The floor under a small run: an empty Dagster job, and one dbt invocation on a one-model project.

`python -m benchmarks.floor` runs the Dagster job in its own process. The dbt project is written by
`write_dbt_project` and run through the `dbt` command that is installed beside the Python interpreter.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PROJECT = """\
name: floor
version: "1.0"
profile: floor
flags: {send_anonymous_usage_stats: false}
"""

_PROFILES = """\
floor:
  target: dev
  outputs:
    dev: {type: duckdb, path: floor.duckdb, threads: 1}
"""


def write_dbt_project(folder: Path) -> None:
    """Write a dbt-duckdb project with one model into a new folder."""
    models = folder / "models"
    models.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(_PROJECT, encoding="utf-8")
    (folder / "profiles.yml").write_text(_PROFILES, encoding="utf-8")
    (models / "one.sql").write_text("select 1 as one\n", encoding="utf-8")


def dbt_command(folder: Path) -> list[str]:
    """The command that runs the project in `folder`."""
    dbt = Path(sys.executable).with_name("dbt")
    return [str(dbt), "run", "--project-dir", str(folder), "--profiles-dir", str(folder)]


def main() -> None:
    import dagster

    @dagster.op
    def nothing() -> None:
        """An op costs what Dagster adds to it."""

    @dagster.job
    def floor() -> None:
        nothing()

    if not floor.execute_in_process().success:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
