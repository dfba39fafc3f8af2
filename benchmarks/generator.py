"""Writes a project folder full of seeded exports: `exports/web/<date>/events.jsonl` and what reads them.

    python -m benchmarks.generator DIR [--events N] [--days N] [--seed N]

The same parameters give the same bytes with one version of DuckDB: the rolls come from its `hash()`.
Memory stays bounded, because lines stream from a numbered range into one file per landing day.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

from benchmarks.population import LandingDay, Population, following_day, landing_days, lines_sql
from benchmarks.project_files import SOURCE, write_project_files

# One text column without quoting is written as it is; the separator never occurs in it.
_AS_PLAIN_LINES = r"(format csv, header false, quote '', escape '', delimiter '\x01')"


def write_project(project: Path, population: Population) -> None:
    """Write settings, definitions and the first load of the population into the folder `project`."""
    write_project_files(project)
    with duckdb.connect() as connection:
        for landing in landing_days(population):
            _write_export(connection, project, population, landing)


def more(project: Path, population: Population, number: int = 0) -> Path:
    """Add the `number`th (from 0) landing day after the first load, 1 % of its lines; give its path."""
    with duckdb.connect() as connection:
        return _write_export(connection, project, population, following_day(population, number))


def _write_export(
    connection: duckdb.DuckDBPyConnection, project: Path, population: Population, landing: LandingDay
) -> Path:
    export = project / "exports" / SOURCE / landing.day.isoformat() / "events.jsonl"
    export.parent.mkdir(parents=True, exist_ok=True)
    target = str(export).replace("'", "''")
    connection.execute(f"copy ({lines_sql(population, landing)}) to '{target}' {_AS_PLAIN_LINES}")
    return export


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description="Write a generated project.")
    parser.add_argument("project", type=Path, help="the folder to write")
    parser.add_argument("--events", type=int, default=1_000_000, help="lines of the first load (default 1,000,000)")
    parser.add_argument("--days", type=int, default=30, help="landing days they spread over (default 30)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    write_project(arguments.project, Population(arguments.events, arguments.days, arguments.seed))


if __name__ == "__main__":
    main()
