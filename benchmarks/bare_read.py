"""The floor under intake: DuckDB's own reader on the same exports, written to one Parquet file.

Run as `python -m benchmarks.bare_read PROJECT PARQUET`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

from benchmarks.project_files import SOURCE


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bare_read", description="read_json into Parquet.")
    parser.add_argument("project", type=Path, help="a generated project")
    parser.add_argument("parquet", type=Path, help="the file to write")
    arguments = parser.parse_args()
    exports = str(arguments.project / "exports" / SOURCE / "*" / "*.jsonl").replace("'", "''")
    target = str(arguments.parquet).replace("'", "''")
    duckdb.execute(f"copy (select * from read_json('{exports}')) to '{target}' (format parquet)")


if __name__ == "__main__":
    main()
