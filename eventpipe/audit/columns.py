"""Columns that a source's `map` reads and that its exports have no more: they would be null in silence (spec 1, section 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import duckdb

from eventpipe.audit.findings import MOST_ROWS, Finding
from eventpipe.project.mapping import fields_of
from eventpipe.project.sources import SourceProfile

COLUMNS: Final = "mapped_columns_are_sent"
_LISTED: Final = 4 * MOST_ROWS


def columns(connection: duckdb.DuckDBPyConnection, profiles: Mapping[str, SourceProfile]) -> Iterator[Finding]:
    """One finding, on the newest landing date of each source whose exports have columns: CSV and Parquet. A date's exports
    may differ: a column is missed where none of them has it. Of an expression's columns one is enough: others may be meant to
    be missing."""
    newest = connection.execute("""
        select source, landed_on, list_distinct(flatten(list(columns))) from run.exports
        where status = 'loaded' and len(columns) > 0
        group by source, landed_on
        qualify row_number() over (partition by source order by landed_on desc) = 1
        order by source
    """).fetchall()
    failing = [
        {"source": source, "landed_on": landed_on.isoformat(), "field": field, "column": ", ".join(wanted)}
        for source, landed_on, sent in newest
        if source in profiles
        for field, entry in profiles[source].map.items()
        if (wanted := fields_of(entry)) and not any(_is_sent(name, sent) for name in wanted)
    ]
    yield Finding(
        check=COLUMNS,
        kind="drift",
        asset="ledger",
        subject="ledger",
        severity="warn",
        status="failed" if failing else "passed" if newest else "skipped",
        observed={"columns": len(failing)},
        failing=tuple(failing[:_LISTED]),
        message=(
            "The map of a source reads columns that its newest exports have not, so these fields are empty: "
            + "; ".join(f"{each['source']}: {each['field']} reads {each['column']}" for each in failing[:MOST_ROWS])
            + ". Correct `map` in eventpipe.yml, or ask who sends the exports."
        )
        if failing
        else None,
    )


def _is_sent(name: str, sent: list[str]) -> bool:
    """Whether the exports have it: a column of that name, or one that holds the JSON which the path leads into."""
    return name in sent or name.partition(".")[0] in sent
