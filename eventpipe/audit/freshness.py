"""Freshness: how long each source has been silent, as of the run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import duckdb

from eventpipe.audit.findings import Finding
from eventpipe.project.audit_rules import FreshnessRules

FRESHNESS = "freshness"


def freshness(connection: duckdb.DuckDBPyConnection, rules: FreshnessRules, as_of: datetime) -> Iterator[Finding]:
    """One finding per source that has landed something. A source is fresh until `max_age` after the end of its last
    landing date; refused exports do not count."""
    landed = connection.execute(
        "select source, max(landed_on) from main.ledger where status = 'loaded' and lines > 0 group by source order by source"
    ).fetchall()
    for source, last in landed:
        end = datetime.combine(last, time(), tzinfo=UTC) + timedelta(days=1)
        silent = max(as_of - end, timedelta())
        most = rules.sources.get(source, rules.max_age)
        is_fresh = silent <= most
        yield Finding(
            check=FRESHNESS,
            kind="freshness",
            asset="ledger",
            subject=source,
            severity="warn",
            status="passed" if is_fresh else "failed",
            observed={"silent_hours": _hours(silent), "most_hours": _hours(most), "last_landed_on": last.isoformat()},
            message=None
            if is_fresh
            else f"Nothing of {source} has landed since {last}: look at its exports, or say in expectations.yml "
            "(freshness) how long it may be silent.",
        )


def _hours(age: timedelta) -> float:
    return round(age.total_seconds() / 3600, 1)
