"""The yardstick: a plain DuckDB script over the same exports, with none of the promises.

    python -m benchmarks.yardstick PROJECT DATABASE

It reads the exports into a table and drops lines that break two rules, keeps the first line of each id in
a second table, ties identifiers to contacts by connected components, joins a timeline, scores recency,
frequency and monetary value, and checkpoints. It trusts every line, rejects nothing with a reason, cannot
take a new day without starting over, and publishes nothing. It runs in a process of its own and prints
one JSON object: `stages` (name, seconds) and `outcome`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from benchmarks.project_files import SOURCE

_LOAD = """
create table lines as
select
    id,
    name,
    to_timestamp(timestamp) as occurred_at,
    customer_id,
    email,
    anonymous_id,
    known[1] as order_id,
    known[2]::decimal(18, 4) as value,
    known[3] as currency,
    data as properties,
from (
    select *, data ->> ['order_id', 'total', 'currency'] as known,
    from read_json(
        ?,
        format = 'newline_delimited',
        columns = {
            id: 'varchar', name: 'varchar', timestamp: 'bigint',
            customer_id: 'varchar', email: 'varchar', anonymous_id: 'varchar', data: 'json',
        }
    )
)
where name is not null and coalesce(customer_id, email, anonymous_id) is not null
"""

_DEDUPE = """
create table events as
select * from lines
qualify row_number() over (partition by id order by rowid) = 1
"""

_IDENTIFIERS = """
create table identifiers as
select (row_number() over () - 1)::integer as code, kind, value,
from (
    select distinct 'customer_id' as kind, customer_id as value from events where customer_id is not null
    union all
    select distinct 'email', email from events where email is not null
    union all
    select distinct 'anonymous_id', anonymous_id from events where anonymous_id is not null
)
"""

# The strongest identifier of a set is tied to each of the others.
_TIES = """
with

sets as (
    select distinct customer_id, email, anonymous_id from events
),

pairs as (
    select
        if(customer_id is not null, 'customer_id', 'email') as left_kind,
        coalesce(customer_id, email) as left_value,
        unnest([{'kind': 'email', 'value': email}, {'kind': 'anonymous_id', 'value': anonymous_id}]) as other,
    from sets
)

select left_side.code as left_code, right_side.code as right_code,
from pairs
inner join identifiers as left_side on left_side.kind = left_kind and left_side.value = left_value
inner join identifiers as right_side on right_side.kind = other.kind and right_side.value = other.value
"""

_CONTACTS = """
create table contacts as
select identifiers.kind, identifiers.value, labels.contact_id,
from identifiers
inner join labels using (code)
"""

_TIMELINE = """
create table timeline as
select
    contacts.contact_id,
    events.occurred_at,
    events.name,
    events.id,
    events.order_id,
    events.value,
    events.currency,
    events.properties,
from events
inner join contacts
    on contacts.kind = case
        when events.customer_id is not null then 'customer_id'
        when events.email is not null then 'email'
        else 'anonymous_id'
    end
    and contacts.value = coalesce(events.customer_id, events.email, events.anonymous_id)
"""

_RFM = """
create table rfm as
with

measured as (
    select
        contact_id,
        date_diff('day', max(occurred_at), (select max(occurred_at) from timeline)) as recency_days,
        count(distinct order_id) as frequency,
        sum(value) as monetary,
    from timeline
    where name = 'order.completed'
    group by contact_id
),

cuts as (
    select
        quantile_cont(recency_days, [0.2, 0.4, 0.6, 0.8]) as recency,
        quantile_cont(frequency, [0.2, 0.4, 0.6, 0.8]) as frequency,
        quantile_cont(monetary, [0.2, 0.4, 0.6, 0.8]) as monetary,
    from measured
)

select
    measured.*,
    1 + len(list_filter(cuts.recency, lambda cut: cut > recency_days)) as r_score,
    1 + len(list_filter(cuts.frequency, lambda cut: cut < measured.frequency)) as f_score,
    1 + len(list_filter(cuts.monetary, lambda cut: cut < measured.monetary)) as m_score,
from measured, cuts
"""

_OUTCOME = """
select
    (select count(*) from events),
    (select count(distinct contact_id) from contacts),
    (select coalesce(sum(value), 0)::varchar from timeline where name = 'order.completed')
"""


class Stages:
    """Wall seconds of each named part, in the order they ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def resolve(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `contacts` (kind, value, contact_id), one row per identifier."""
    connection.execute(_IDENTIFIERS)
    ties = connection.execute(_TIES).fetchnumpy()
    counted = connection.execute("select count(*) from identifiers").fetchone()
    size = counted[0] if counted else 0
    ends = (np.asarray(ties["left_code"]), np.asarray(ties["right_code"]))
    graph = coo_matrix((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    connection.register("labels", {"code": np.arange(size, dtype=np.int32), "contact_id": labels})
    connection.execute(_CONTACTS)
    connection.unregister("labels")


def run(project: Path, database: Path) -> dict[str, object]:
    """Run every stage into a new database file and tell the stage times and what came out."""
    stages = Stages()
    with duckdb.connect(str(database)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        with stages.stage("load"):
            connection.execute(_LOAD, [str(project / "exports" / SOURCE / "*" / "*.jsonl")])
        with stages.stage("dedupe"):
            connection.execute(_DEDUPE)
        with stages.stage("graph"):
            resolve(connection)
        with stages.stage("timeline"):
            connection.execute(_TIMELINE)
        with stages.stage("rfm"):
            connection.execute(_RFM)
        with stages.stage("checkpoint"):
            connection.execute("checkpoint")
        events, contacts, purchases = connection.execute(_OUTCOME).fetchall()[0]
    return {
        "stages": [{"name": name, "seconds": seconds} for name, seconds in stages.seconds.items()],
        "outcome": {"events": events, "contacts": contacts, "purchases": purchases},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yardstick", description="Run the plain script.")
    parser.add_argument("project", type=Path, help="a generated project")
    parser.add_argument("database", type=Path, help="the DuckDB file to write; it must not exist")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.project, arguments.database)))


if __name__ == "__main__":
    main()
