"""The audit of a run, check by check: dbt tests, expectations, volume, freshness, exports, drift, contacts.

Judged is what the run made and what earlier runs made that was not published: a bad day that held one run back holds the
next one back too. The checks and their names follow from the project alone, so that they are known before a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import duckdb

from eventpipe.audit import contacts, drift, exports, frames, suites
from eventpipe.audit.findings import MOST_ROWS, Finding, shown
from eventpipe.audit.freshness import FRESHNESS, freshness
from eventpipe.audit.judge import Ask, Findings
from eventpipe.audit.volume import Verdict, Watched, complete_through, watch
from eventpipe.ops.holds import Breach
from eventpipe.project.audit_rules import OnBreach, Severities, VolumeRules
from eventpipe.project.expectations import Frame
from eventpipe.project.folder import Project
from eventpipe.warehouse.dbt import Node

if TYPE_CHECKING:
    import pandas as pd

VOLUME: Final = "volumes_are_like_before"
DOCS: Final = "data_docs"


@dataclass(frozen=True)
class Announced:
    """A check that will be made: what it is called, the table it is about, and what it asks."""

    check: str
    asset: str
    description: str
    holds_back: bool


@dataclass(frozen=True)
class Audit:
    """What an audit found, and the events that it wants held back."""

    findings: tuple[Finding, ...]
    breaches: tuple[Breach, ...]


def announced(project: Project) -> list[Announced]:
    """The checks of a project beside its dbt tests."""
    expectations = [
        Announced(
            each.name,
            suites.asset_of(each),
            each.description or f"expect_{each.expect} on {each.of}",
            each.severity == "error",
        )
        for each in project.audit.expectations
    ]
    own = [
        Announced(check, asset, asks, holds_back=project.audit.severity.of(check) == "error")
        for check, asset, asks in (
            (FRESHNESS, "ledger", "How long each source has been silent."),
            *(
                (check, asset, check.replace("_", " ").capitalize() + ".")
                for checks in (exports.CHECKS, drift.CHECKS, contacts.CHECKS)
                for check, asset in checks.items()
            ),
        )
        if project.audit.severity.of(check) != "ignore"
    ]
    asks = "Each event's count by source and day against its own past."
    return [*expectations, Announced(VOLUME, "event_volume_daily", asks, holds_back=False), *own]


def audit(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    ask: Ask,
    test: Callable[[], Sequence[Node]],
    *,
    as_of: datetime,
    published: Collection[str],
) -> Audit:
    """Judge the working tables. `test` runs the dbt tests, while those who are asked look at the expectations; `published` are the
    runs that were published.
    """
    runs = frames.changed_runs(connection, published)
    expectations = _expectations(connection, project, runs, ask)
    tests = test()
    watched = _volume(connection, project.audit.volume, as_of)
    rules = project.audit.severity
    findings = [
        *(_tested(node) for node in tests),
        *expectations(),
        *_volume_findings(watched, project.audit.volume),
        *_weighed(freshness(connection, project.audit.freshness, as_of), rules),
        *_weighed(exports.exports(connection, project.profiles), rules),
        *_weighed(drift.drift(connection, runs), rules),
        *_weighed(contacts.contacts(connection, project.audit.identity), rules),
    ]
    breaches = [
        Breach(each.source, each.event_name, each.day, _told(each))
        for each in watched.verdicts
        if each.what != "new" and _on_breach(each, project.audit.volume) == "hold"
    ]
    return Audit(tuple(findings), tuple(breaches))


def _weighed(findings: Iterable[Finding], rules: Severities) -> Iterator[Finding]:
    """The findings of our own checks, with the severity that the project gives them."""
    for finding in findings:
        weight = rules.of(finding.check)
        if weight != "ignore":
            yield replace(finding, severity=weight)


def _tested(node: Node) -> Finding:
    failed = node.status in ("fail", "error", "warn")
    return Finding(
        check=node.name,
        kind="dbt",
        asset=node.about,
        subject=node.about,
        severity="warn" if node.severity == "warn" else "error",
        status="failed" if failed else "passed" if node.status == "pass" else "skipped",
        observed={"failures": node.failures or 0},
        # What dbt says of an error can quote a value.
        message="The test could not be run: see the log." if node.status == "error" else None,
    )


def _expectations(connection: duckdb.DuckDBPyConnection, project: Project, runs: Sequence[str], ask: Ask) -> Findings:
    rules = project.audit
    written = {*project.registry.canonical_names, *(name for each in rules.expectations for name in each.texts())}
    judged: dict[Frame, pd.DataFrame] = {
        frame: frames.profile(connection, frame, runs, written)
        for frame in frames.PROFILES
        if any(each.of == frame for each in rules.expectations)
    }
    if any(each.of in frames.SAMPLES for each in rules.expectations):
        judged |= frames.samples(connection, project.registry, runs, rules.sample_rows, written)
    skipped = [suites.skipped(each) for each in rules.expectations if not len(judged[each.of])]
    some = [each for each in rules.expectations if len(judged[each.of])]
    if not some:
        return lambda: skipped
    findings = ask(some, judged, project.state / DOCS if rules.data_docs else None)
    return lambda: [*skipped, *findings()]


def _volume(connection: duckdb.DuckDBPyConnection, rules: VolumeRules, as_of: datetime) -> Watched:
    # Never younger than the instant itself: what lies after it is no part of the tables.
    counts = connection.execute(
        "select source, event_name, day, sum(accepted - duplicates)::bigint as count"
        " from main.event_profile where event_name <> '' group by all having count > 0"
    ).pl()
    landed = connection.execute(
        """
        select source, max(landed_on) as last_landed_on from main.ledger
        where status = 'loaded' and lines > 0 and landed_on <= $1 group by source
    """,
        [as_of.date()],
    ).fetchall()
    shares = {
        source: (on_time, next_day)
        for source, on_time, next_day in connection.execute(
            "select source, 1 - sum(after_the_day) / sum(accepted), 1 - sum(late) / sum(accepted)"
            " from main.event_profile group by source having sum(accepted) > 0"
        ).fetchall()
    }
    through = {source: complete_through(as_of, last, *shares[source]) for source, last in landed if source in shares}
    return watch(counts, through, rules)


def _volume_findings(watched: Watched, rules: VolumeRules) -> Iterator[Finding]:
    """One finding per event of a source that broke with its past; one that passed where none did."""
    broken: dict[tuple[str, str], list[Verdict]] = {}
    for each in watched.verdicts:
        if each.what != "new" and _on_breach(each, rules) != "ignore":
            broken.setdefault((each.source, each.event_name), []).append(each)
    for (source, event_name), verdicts in broken.items():
        last = verdicts[-1]
        holds = _on_breach(last, rules) == "hold"
        yield Finding(
            check=VOLUME,
            kind="volume",
            asset="event_volume_daily",
            subject=f"{source}: {shown(event_name)}",
            severity="warn",
            status="failed",
            observed={"count": last.count, "expected": last.expected, "score": last.score, "days": len(verdicts)},
            failing=tuple(_row(each) for each in verdicts),
            message=f"{_told(last)} "
            + (
                "Its triggers wait until `eventpipe hold release`."
                if holds
                else "If it is no fault, add the day to volume.incidents in expectations.yml."
            ),
        )
    if not broken:
        new = [each for each in watched.verdicts if each.what == "new"]
        yield Finding(
            check=VOLUME,
            kind="volume",
            asset="event_volume_daily",
            subject="all events",
            severity="warn",
            status="passed" if watched.series > watched.young else "skipped",
            observed={"series": watched.series, "young": watched.young, "new": len(new)},
            failing=tuple(_row(each) for each in new[: 4 * MOST_ROWS]),
        )


def _on_breach(verdict: Verdict, rules: VolumeRules) -> OnBreach:
    return rules.events.get(verdict.event_name, rules.on_breach)


def _told(verdict: Verdict) -> str:
    expected = "a count every day" if verdict.expected is None else f"about {verdict.expected:g}"
    return f"{verdict.source} sent {verdict.count:,} {shown(verdict.event_name)} on {verdict.day}, expected was {expected}."


def _row(verdict: Verdict) -> Mapping[str, object]:
    return {
        "source": verdict.source,
        "event_name": shown(verdict.event_name),
        "day": verdict.day.isoformat(),
        "what": verdict.what,
        "count": verdict.count,
        "expected": verdict.expected,
        "score": verdict.score,
    }
