"""Promise 3 where PostgreSQL serves: its readers see the tables of the published file."""

from __future__ import annotations

from collections import Counter

import duckdb

from eventpipe.doctor.findings import Check
from eventpipe.errors import EventpipeError
from eventpipe.serving.reading import Store
from eventpipe.sql import identifier, literal

_NAME = "the server holds the rows of the published file, of the same runs"
_RUN_ID = "run_id"

Rows = Counter[tuple[str, str | None]]
"""Numbers of rows by relation and, where rows tell, by the run that wrote them."""


def served(published: duckdb.DuckDBPyConnection, store: Store) -> Check:
    """Rows are counted, in one snapshot: one that was not sent is missing, or has the id of an earlier run."""
    queries = {name: _counted(name, columns) for name, columns in _relations(published).items()}
    here = _rows(published.execute(" union all ".join(queries.values())).fetchall())
    there: Rows = Counter()
    missing: set[str] = set()
    with store.snapshot():
        for name, query in queries.items():
            try:
                there.update(_rows(store.ask(query).fetch(1_000_000)))
            except EventpipeError:
                missing.add(name)
    different = sorted({name for name, _ in (here - there) + (there - here)} | missing)
    return Check.of(
        _NAME,
        not different,
        {"tables": len(queries), "rows": there.total(), "different": len(different)},
        f"They differ in {', '.join(different)}. Run `eventpipe run`; if it stays so, have all of them sent anew "
        "(docs/operations.md, published tables).",
    )


def unreachable(error: EventpipeError) -> Check:
    """The check where the server cannot be asked."""
    return Check(_NAME, "unchecked", {}, str(error))


def _counted(name: str, columns: list[str]) -> str:
    run = _RUN_ID if _RUN_ID in columns else "null"
    return f"select {literal(name)} as name, cast({run} as varchar) as run, count(*) as n from {identifier(name)} group by 2"


def _rows(found: list[tuple[str, str | None, int]]) -> Rows:
    return Counter({(name, run): rows for name, run, rows in found})


def _relations(published: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    found = published.execute(
        "select table_name, list(column_name) from information_schema.columns where table_schema = 'main'"
        " group by table_name order by table_name"
    )
    return dict(found.fetchall())
