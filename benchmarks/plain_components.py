"""What identity costs without limits, order, coding and increments: scipy's connected components on ready integer
codes, and reading and writing the rows that the identity step reads and writes.

Run as `python -m benchmarks.plain_components DATABASE`. Prints its stages and the number of contacts as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import duckdb
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from eventpipe.project.settings import EngineSettings
from eventpipe.sql import literal

_NODES = """
create table ready.written_nodes as
with ids as (
    select code, md5(concat_ws(chr(0), 'contact', 'default', identifier_type, identifier_value)) as alias_id
    from ready.nodes
)
select
    'default' as workspace_id, nodes.identifier_type, nodes.identifier_value, nodes.first_seen_at,
    labels.label::ubigint as component, own.alias_id, held.alias_id as contact_id, nodes.code
from ready.nodes as nodes
join labels using (code)
join ids as own using (code)
join ids as held on labels.root = held.code
"""
_SETS = """
create table ready.written_sets as
select
    touched.workspace_id, touched.identifiers, touched.first_occurred_at, nodes.component, null::varchar as alias_id,
    nodes.contact_id
from work.touched_sets as touched
join ready.sets as sets on touched.rowid = sets."set"
join ready.written_nodes as nodes using (code)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_components", description="Connected components.")
    parser.add_argument("database", type=Path, help="a database that benchmarks.identities wrote")
    database = parser.parse_args().database
    times = [time.perf_counter()]
    with duckdb.connect(str(database)) as connection:
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        connection.execute(f"set memory_limit = {literal(EngineSettings().memory)}")
        connection.execute(f"set temp_directory = {literal(f'{database}.tmp')}")
        ties = connection.execute("select left_code, right_code from ready.ties").fetchnumpy()
        counted = connection.execute("select count(*) from ready.nodes").fetchone()
        size = counted[0] if counted else 0
        times.append(time.perf_counter())
        ends = (np.asarray(ties["left_code"]), np.asarray(ties["right_code"]))
        graph = coo_matrix((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(size, size))
        count, labels = connected_components(graph, directed=False)
        _, oldest = np.unique(labels, return_index=True)
        times.append(time.perf_counter())
        code = np.arange(size, dtype=np.int32)
        connection.register("labels", {"code": code, "label": labels, "root": oldest[labels].astype(np.int32)})
        connection.execute(_NODES)
        connection.execute(_SETS)
        times.append(time.perf_counter())
        connection.execute("checkpoint")
        times.append(time.perf_counter())
    names = ("read", "components", "write", "checkpoint")
    stages = [{"name": name, "seconds": end - start} for name, start, end in zip(names, times, times[1:], strict=False)]
    print(json.dumps({"stages": stages, "identifiers": size, "ties": len(ends[0]), "contacts": int(count)}))


if __name__ == "__main__":
    main()
