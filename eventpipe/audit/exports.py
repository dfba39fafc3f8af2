"""What is wrong with exports that could all be read: columns that the map misses, one file under two names.

Neither leaves a rejected line: a field would be empty, or an event there twice, in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import duckdb

from eventpipe.audit.findings import MOST_ROWS, Finding, rows, told
from eventpipe.project.mapping import fields_of
from eventpipe.project.sources import SourceProfile

COLUMNS: Final = "mapped_columns_are_sent"
TWICE: Final = "exports_are_landed_once"
CHECKS: Final = {COLUMNS: "ledger", TWICE: "ledger"}


def exports(connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, SourceProfile]) -> Iterator[Finding]:
    """Two findings on what the ledger holds."""
    yield _columns(connection, profiles)
    yield _twice(connection)


def _columns(connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, SourceProfile]) -> Finding:
    """On the newest landing date of each source whose exports have columns: CSV and Parquet. A date's exports may differ: a
    column is missed where none of them has it. Of an expression's columns one is enough: others may be meant to be missing.
    Where a source explodes lists its fields may be inside of them."""
    newest = connection.execute("""
        select source, landed_on, list_distinct(flatten(list(columns))) from run.exports
        where status = 'loaded' and lines > 0 and len(columns) > 0
        group by source, landed_on
        qualify row_number() over (partition by source order by landed_on desc) = 1
        order by source
    """).fetchall()
    failing = [
        {"source": source, "landed_on": landed_on.isoformat(), "field": field, "column": ", ".join(wanted)}
        for source, landed_on, sent in newest
        if source in profiles and profiles[source].explode is None
        for field, entry in profiles[source].map.items()
        if (wanted := fields_of(entry)) and not any(_is_sent(name, sent) for name in wanted)
    ]
    named = "; ".join(f"{each['source']}: {each['field']} reads {each['column']}" for each in failing[:MOST_ROWS])
    return told(
        COLUMNS,
        CHECKS[COLUMNS],
        failing,
        {"columns": len(failing)},
        f"The map of a source reads columns missing from its newest exports, so these fields are empty: {named}. Correct `map` "
        "in eventpipe.yml, or ask who sends the exports.",
        skipped=not newest,
    )


def _is_sent(name: str, sent: list[str]) -> bool:
    """Whether the exports have it: a column of that name, or one that holds the JSON which the path leads into."""
    return name in sent or name.partition(".")[0] in sent


def _twice(connection: duckdb.DuckDBPyConnection) -> Finding:
    """Events without a key are bound to their file: of the same bytes under two names each is there twice."""
    # Where none are alike the engine does not read the events.
    found = rows(
        connection,
        """
        with alike as (
            select source, sha256, landed_on, file from run.exports
            where status = 'loaded' and accepted > 0
            qualify count(*) over (partition by source, sha256) > 1
        ),
        doubled as (
            select alike.source, alike.sha256, count(*) as events from main.events
            inner join alike on events.source = alike.source and events.landed_on = alike.landed_on and events.file = alike.file
            where events.dedupe_key is null and events.order_key is null
            group by all
        )
        select source, string_agg(landed_on || '/' || file, ', ' order by landed_on, file) as exports,
            any_value(doubled.events) as events
        from alike inner join doubled using (source, sha256)
        group by source, sha256 order by events desc, exports
        """,
    )
    named = "; ".join(f"{each['source']}: {each['exports']}" for each in found[:MOST_ROWS])
    return told(
        TWICE,
        CHECKS[TWICE],
        found,
        {"exports": len(found), "events": sum(each["events"] for each in found)},
        f"The same bytes landed under several names, and their events have no dedupe_key, so each counts as often: {named}. "
        "Take the copies out of exports/ and call `eventpipe prune`, or map a dedupe_key.",
    )
