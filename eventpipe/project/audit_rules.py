"""expectations.yml: what a run must satisfy, as frozen typed objects.

Without the file a project has the one that `eventpipe init` writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, TypeAdapter

from eventpipe.errors import Problem
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.expectations import Expectation, expectation_findings
from eventpipe.project.quantities import Duration
from eventpipe.project.refusal import Finding, Refusal, refused
from eventpipe.project.validation import Section, at, attempt, problems_of, validate
from eventpipe.project.yaml import parse_document, read_document

FILE: Final = "expectations.yml"

OnBreach = Literal["warn", "hold", "ignore"]
Weight = Literal["error", "warn", "ignore"]


class Incident(Section):
    """Days that are known to be unlike others, of one event or source or of all: neither judged nor compared with."""

    first: date
    last: date
    event: str | None = None
    source: str | None = None


class VolumeRules(Section):
    """How an event's daily count may differ from its past.

    `days` is how many of the last complete days are judged; `sensitivity` the distance from the expected count, in
    robust standard deviations, from which a day breaks with its past; `min_change` the share that it must differ by
    besides. `events` says for single events what a breach does.
    """

    on_breach: OnBreach = "warn"
    events: Mapping[str, OnBreach] = Field(default_factory=dict)
    days: int = Field(default=3, ge=1, le=28)
    sensitivity: float = Field(default=4.0, ge=2, le=20)
    min_change: float = Field(default=0.25, ge=0, le=1)
    incidents: tuple[Incident, ...] = ()


class FreshnessRules(Section):
    """For how long a source may be silent: from the end of its last landing date to `as_of`."""

    max_age: Duration = timedelta(hours=48)
    sources: Mapping[str, Duration] = Field(default_factory=dict)


class IdentityRules(Section):
    """From where merges and contacts are suspicious."""

    merges: int = Field(default=10_000, ge=0)
    merged_share: float = Field(default=0.2, ge=0, le=1)
    largest_contact: int = Field(default=100_000, ge=1)


class Severities(Section):
    """What each built-in check does when it fails; expectations and the volume watch have their own."""

    freshness: Weight = "warn"
    mapped_columns_are_sent: Weight = "warn"
    exports_are_landed_once: Weight = "warn"
    event_names_are_defined_once: Weight = "warn"
    properties_are_declared: Weight = "warn"
    properties_keep_their_type: Weight = "warn"
    events_keep_their_name: Weight = "warn"
    orders_have_one_contact: Weight = "warn"
    few_contacts_merge: Weight = "warn"
    contacts_are_in_proportion: Weight = "warn"

    def of(self, check: str) -> Weight:
        """By the check's name."""
        weight: Weight = getattr(self, check)
        return weight


class AuditRules(Section):
    """The whole of expectations.yml."""

    expectations: tuple[Expectation, ...] = ()
    sample_rows: int = Field(default=2000, ge=0, le=100_000)
    data_docs: bool = True
    volume: VolumeRules = VolumeRules()
    freshness: FreshnessRules = FreshnessRules()
    identity: IdentityRules = IdentityRules()
    severity: Severities = Severities()


_EXPECTATION: Final = TypeAdapter(Expectation)
_INCIDENT: Final = TypeAdapter(Incident)


def load_rules(
    root: Path, environ: Mapping[str, str], sources: tuple[str, ...] | None
) -> tuple[AuditRules | None, list[Problem]]:
    """The rules of the project in `root`, or None and every problem of its file.

    `sources` are those of the project; None: unknown, any is accepted.
    """
    path = root / FILE
    if not path.exists():
        return default_rules(), []
    document, problems = read_document(path, FILE, environ)
    rules, wrong = read_rules(document, sources)
    return (None if problems else rules), problems + wrong


def read_rules(document: Document, sources: tuple[str, ...] | None) -> tuple[AuditRules | None, list[Problem]]:
    """The rules in `document`, or None and every problem of it."""
    rules, problems = validate(AuditRules, document)
    problems += problems_of(document, _findings(document, sources))
    return (None if problems else rules), problems


@cache
def default_rules() -> AuditRules:
    """The rules that `eventpipe init` writes."""
    content = (files("eventpipe.project") / "starter" / FILE).read_bytes()
    rules, problems = read_rules(parse_document(content, FILE, {})[0], None)
    assert rules is not None, problems
    return rules


def _findings(document: Document, sources: tuple[str, ...] | None) -> Iterator[Finding]:
    names: Counter[str] = Counter()
    entries = at(document.data, ("expectations",))
    for position in range(len(entries) if isinstance(entries, list) else 0):
        path: KeyPath = ("expectations", position)
        expectation = attempt(_EXPECTATION, document, path)
        if expectation is None:
            continue
        names[expectation.name] += 1
        if names[expectation.name] > 1:
            yield Finding((*path, "name"), f"{expectation.name!r} is the name of two checks: choose another")
        yield from expectation_findings(document, path, expectation)
    entries = at(document.data, ("volume", "incidents"))
    for position in range(len(entries) if isinstance(entries, list) else 0):
        path = ("volume", "incidents", position)
        incident = attempt(_INCIDENT, document, path)
        if incident is None:
            continue
        if incident.first > incident.last:
            yield Finding(path, "has no day: its first lies after its last")
        if incident.source is not None:
            yield from _source_findings(document, (*path, "source"), incident.source, sources)
    silent = at(document.data, ("freshness", "sources"))
    for source in silent if isinstance(silent, dict) else ():
        yield from _source_findings(document, ("freshness", "sources", source), source, sources)


def _source_findings(
    document: Document, path: KeyPath, source: str, sources: tuple[str, ...] | None
) -> Iterator[Finding]:
    if sources is not None and source not in sources:
        yield Finding(path, refused(document, path, source, Refusal("a source of eventpipe.yml", accepted=sources)))
