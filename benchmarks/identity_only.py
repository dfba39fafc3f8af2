"""The identity step in a process of its own, to be timed: `python -m benchmarks.identity_only DATABASE`.

Prints what it solved, as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import duckdb

from eventpipe.identity.resolve import resolve
from eventpipe.identity.rules import Rules
from eventpipe.project.identifiers import DEFAULT_TYPES
from eventpipe.project.settings import EngineSettings
from eventpipe.sql import literal


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity_only", description="Solve the touched sets.")
    parser.add_argument("database", type=Path, help="a database with work.touched_sets")
    database = parser.parse_args().database
    started = time.perf_counter()
    with duckdb.connect(str(database)) as connection:
        # As the working database is opened: see eventpipe.warehouse.database.
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        connection.execute(f"set memory_limit = {literal(EngineSettings().memory)}")
        connection.execute(f"set temp_directory = {literal(f'{database}.tmp')}")
        resolved = resolve(connection, Rules(DEFAULT_TYPES), EngineSettings().memory)
        solved = time.perf_counter()
        connection.execute("checkpoint")
    stages = [
        {"name": "solve", "seconds": solved - started},
        {"name": "checkpoint", "seconds": time.perf_counter() - solved},
    ]
    print(json.dumps({"stages": stages, "resolved": asdict(resolved)}))


if __name__ == "__main__":
    main()
