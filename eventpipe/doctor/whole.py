"""Promise 3, whole or not at all: readers see the tables of the last good run, all of one instant."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from eventpipe.doctor.findings import Check, Promise
from eventpipe.doctor.same_answer import OBSERVED
from eventpipe.ops.runs import Run
from eventpipe.serving.file import row_counts
from eventpipe.sql import identifier, literal

_AGAIN = "Run `eventpipe run`; if it stays so, `eventpipe run --full-refresh`."


def whole(
    published: duckdb.DuckDBPyConnection,
    working: duckdb.DuckDBPyConnection | None,
    runs: Sequence[Run],
    *elsewhere: Check,
) -> Promise:
    """`working` is the working database, None when it cannot be read; `runs` are those on record, newest
    first; `elsewhere`: what was found where a server serves.
    """
    checks = (_one_instant(published), _last_good_run(published, runs), _working_database(published, working))
    return Promise(3, "Whole or not at all", (*checks, *elsewhere))


def last_published(published: duckdb.DuckDBPyConnection) -> str | None:
    """The id of the run that wrote the published file."""
    row = published.execute(
        "select run_id from runs where run_status = 'published' order by run_started_at desc, run_id limit 1"
    ).fetchone()
    return None if row is None else str(row[0])


def _one_instant(published: duckdb.DuckDBPyConnection) -> Check:
    """Rows keep the id of the run that wrote them last: no run can be unknown, or have begun after the
    publish.
    """
    named = [f"select {literal(table)} as name, run_id from {identifier(table)}" for table in _stamped(published)]
    written = " union all ".join(named) or "select null as name, null as run_id where false"
    row = published.execute(
        f"""
        with written as (select name, run_id, count(*) as rows from ({written}) group by all),
        last_good as (select max(run_started_at) as began from runs where run_status = 'published'),
        judged as (
            select written.*, runs.run_id is null or runs.run_started_at > began as is_odd
            from written left join runs on written.run_id = runs.run_id cross join last_good
        )
        select count(distinct name), count(distinct run_id), coalesce(sum(rows), 0),
            coalesce(sum(rows) filter (is_odd), 0), min(name) filter (is_odd)
        from judged
        """
    ).fetchone()
    assert row is not None
    tables, runs, rows, odd, name = row
    return Check.of(
        "all published rows were written up to the run that published them",
        not odd,
        {"tables": tables, "runs": runs, "rows": int(rows), "wrong": int(odd)},
        f"{odd} rows, first in {name}, come from a run that the published table runs does not know or that "
        f"began later. {_AGAIN}",
    )


def _last_good_run(published: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> Check:
    good = [run for run in runs if run.status == "published"]
    shown = last_published(published)
    newer = next((number for number, run in enumerate(good) if run.run_id == shown), len(good))
    return Check.of(
        "the published file is that of the last good run",
        bool(good) and newer == 0,
        {"good_runs": len(good), "newer_than_file": newer},
        f"The file was published by run {shown}, the last good run on record is "
        f"{good[0].run_id if good else 'none'}. {_AGAIN}",
    )


def _working_database(published: duckdb.DuckDBPyConnection, working: duckdb.DuckDBPyConnection | None) -> Check:
    name = "the working database and the published file hold the same numbers of rows"
    if working is None:
        detail = "The working database cannot be read, and need not be kept: the next run rebuilds it from the lake."
        return Check(name, "unchecked", {}, detail)
    run = working.execute("select run_id from run.parameters").fetchone()
    if run is None or run[0] != last_published(published):
        detail = "A run that did not publish has changed the working database; the next run finishes the work."
        return Check(name, "unchecked", {}, detail)
    # What was observed is no copy: it is kept elsewhere, or made while publishing.
    here, there = (
        {table: rows for table, rows in row_counts(database).items() if table not in OBSERVED}
        for database in (working, published)
    )
    different = sorted(table for table in here.keys() | there.keys() if here.get(table) != there.get(table))
    numbers = {"tables": len(there), "rows": sum(there.values()), "different": len(different)}
    return Check.of(name, not different, numbers, f"They differ in {', '.join(different)}. {_AGAIN}")


def _stamped(published: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables whose rows carry the run that wrote them."""
    found = published.execute(
        "select table_name from information_schema.columns"
        " where table_schema = 'main' and column_name = 'run_id' and table_name <> 'runs' order by table_name"
    ).fetchall()
    return [name for (name,) in found]
