"""Rows that a run wrote again as they were: they keep the id of the run that readers know them by.

A run recomputes all rows of whoever it touches, and some tables as a whole; most of them come out as they were. With the
run's own id each of them would be another row, which a server has to be sent and whoever copies the tables has to read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from eventpipe.serving.layout import LAYOUTS
from eventpipe.serving.publish import PREVIOUS, attached
from eventpipe.sql import identifier

_RUN_ID = "run_id"
_RUNS = "runs"
_REPORTED = ("events", "event_history", "rejected_events")
"""As large as the lake, and written again only where the lake has changed."""
_DAILY = ("contact_rfm",)
"""Another row every day, and of those whom nobody touched written only where it is."""


def keep_run_ids(connection: duckdb.DuckDBPyConnection, published: Path) -> int:
    """Gives rows of the working database that differ from the published ones in `run_id` alone the published one; how many.

    Looked at are rows of runs that the published file does not know.
    """
    with attached(connection, published) as is_previous:
        if not is_previous:
            return 0
        before, now = (_columns(connection, database) for database in (PREVIOUS, _name(connection)))
        if _RUNS not in before:
            return 0  # another version of eventpipe published it
        kept = [
            (table, columns)
            for table, layout in LAYOUTS.items()
            if layout.key and _RUN_ID not in layout.key and table not in (*_REPORTED, *_DAILY)
            for columns in [now.get(table, ())]
            if (_RUN_ID in columns) and before.get(table) == columns
        ]
        # A table of this size is the work of one core, so the engine is given several at once.
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="unchanged") as pool:
            return sum(pool.map(lambda each: _keep(connection.cursor(), *each), kept))


def _keep(connection: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...]) -> int:
    """Rows are the same when their hashes are: should two ever share one, the wrong run is named and nothing else."""
    name = identifier(table)
    told = [identifier(column) for column in columns if column != _RUN_ID]
    found = connection.execute(
        f"""
        update main.{name} as fresh set {_RUN_ID} = kept.{_RUN_ID}
        from (select hash({", ".join(told)}) as content, {_RUN_ID} from {PREVIOUS}.main.{name}) as kept
        where hash({", ".join(f"fresh.{column}" for column in told)}) = kept.content
            and fresh.{_RUN_ID} not in (select {_RUN_ID} from {PREVIOUS}.main.{_RUNS})
        """
    ).fetchone()
    assert found is not None
    return int(found[0])


def _columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, tuple[str, ...]]:
    """The columns of each published relation."""
    found = connection.execute(
        "select table_name, list(column_name order by column_index) from duckdb_columns()"
        " where database_name = $1 and schema_name = 'main' group by table_name",
        [database],
    )
    return {table: tuple(columns) for table, columns in found.fetchall()}


def _name(connection: duckdb.DuckDBPyConnection) -> str:
    found = connection.execute("select current_database()").fetchone()
    assert found is not None
    return str(found[0])
