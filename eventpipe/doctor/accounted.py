"""Promise 1, accounted: for every export lines = accepted + rejected + blank, and accepted = its versions."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from eventpipe.doctor.findings import Check, Promise
from eventpipe.engine import in_memory
from eventpipe.intake.lake import Lake, Manifest, parquet
from eventpipe.project.folder import Project

_EXPORT = "source, landed_on, file"
_REBUILD = "Run `eventpipe run --full-refresh`; if it stays so, land that day again with `eventpipe backfill`."


def accounted(
    project: Project, published: duckdb.DuckDBPyConnection, lake: Lake, manifests: Sequence[Manifest]
) -> Promise:
    """`published` is the published file, `lake` and `manifests` the lake at the same moment."""
    return Promise(
        1,
        "Accounted",
        (
            _lines(published),
            _rows(published, "versions", "accepted", "event_versions"),
            _rows(published, "rejects", "rejected", "rejected_events"),
            _current(published),
            _lake(project, lake, manifests),
        ),
    )


def _lines(published: duckdb.DuckDBPyConnection) -> Check:
    exports, lines, accepted, rejected, blank, wrong, first = _one(
        published,
        f"""
        select count(*), sum(lines), sum(accepted), sum(rejected), sum(blank),
            count(*) filter (is_wrong), min({_name()}) filter (is_wrong)
        from (
            select *, lines <> accepted + rejected + blank or (status = 'refused' and lines > 0) as is_wrong
            from ledger
        )
        """,
    )
    return Check.of(
        "lines = accepted + rejected + blank in the ledger",
        not wrong,
        {
            "exports": exports,
            "lines": lines,
            "accepted": accepted,
            "rejected": rejected,
            "blank": blank,
            "wrong": wrong,
        },
        f"The lines of {first} do not add up. {_REBUILD}",
    )


def _rows(published: duckdb.DuckDBPyConnection, name: str, column: str, table: str) -> Check:
    counted, found, wrong, first = _one(
        published,
        f"""
        with stored as (select {_EXPORT}, count(*) as found from {table} group by all),
        compared as (
            select {_EXPORT}, coalesce({column}, 0) as counted, coalesce(found, 0) as found
            from ledger full join stored using ({_EXPORT})
        )
        select sum(counted), sum(found), count(*) filter (is_wrong), min({_name()}) filter (is_wrong)
        from (select *, counted <> found as is_wrong from compared)
        """,
    )
    return Check.of(
        f"{column} lines of each export = its rows in {table}",
        not wrong,
        {column: counted, name: found, "wrong": wrong},
        f"{wrong} exports have another number of rows there, {first} first. {_REBUILD}",
    )


def _current(published: duckdb.DuckDBPyConnection) -> Check:
    current, superseded, future, events = _one(
        published,
        """
        select count(*) filter (status = 'current'), count(*) filter (status = 'superseded'),
            count(*) filter (status = 'future'), (select count(*) from events)
        from event_versions
        """,
    )
    return Check.of(
        "versions = current + superseded, one current version for each event",
        current == events,
        {"current": current, "superseded": superseded, "after_as_of": future, "events": events},
        f"The tables hold {events} events and {current} current versions. {_REBUILD}",
    )


def _lake(project: Project, lake: Lake, manifests: Sequence[Manifest]) -> Check:
    paths = {lake.data_path(manifest): manifest for manifest in manifests}
    paths.pop(None, None)
    lost = [manifest for path, manifest in paths.items() if path is not None and not path.is_file()]
    there = [path for path, manifest in paths.items() if path is not None and manifest not in lost]
    accepted = rejected = 0
    if there:
        with in_memory(project) as connection:
            accepted, rejected = _one(
                connection,
                "select count(*) filter (status = 'accepted'), count(*) filter (status = 'rejected')"
                f" from {parquet(there)}",
            )
    told = (sum(each.accepted for each in paths.values()), sum(each.rejected for each in paths.values()))
    what = f"The rows of {lost[0].key} are gone" if lost else "The lake holds other numbers of rows than it says"
    return Check.of(
        "the lake holds the rows of each export",
        not lost and (accepted, rejected) == told,
        {"exports": len(paths), "accepted": accepted, "rejected": rejected, "lost": len(lost)},
        f"{what}. Land that day again with `eventpipe backfill`.",
    )


def _name() -> str:
    return "source || '/' || landed_on || '/' || file"


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    """The only row of a query; sums of nothing are 0."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(0 if value is None else value for value in row)
