"""expectations.yml: what a run must satisfy, as frozen typed objects (spec 5, "Write, audit, publish").

Without the file a project has the one that `eventpipe init` writes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, TypeAdapter

from eventpipe.errors import Problem
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.quantities import Duration
from eventpipe.project.refusal import Finding, Refusal, refused
from eventpipe.project.validation import Section, at, attempt, problems_of, validate
from eventpipe.project.yaml import parse_document, read_document

FILE: Final = "expectations.yml"

Frame = Literal["event_profile", "property_profile", "value_profile", "event_sample", "property_sample"]
OnBreach = Literal["warn", "hold", "ignore"]
Scalar: TypeAlias = bool | int | float | str

_CELL: Final = ("source", "event_name", "day")
FRAMES: Final[Mapping[Frame, tuple[str, ...]]] = {
    "event_profile": (
        *_CELL,
        *("lines", "accepted", "rejected", "duplicates", "after_the_day", "late", "coercions", "violating", "contacts"),
        *("reject_rate", "duplicate_rate", "late_rate", "violation_rate"),
    ),
    "property_profile": (
        *_CELL,
        *("property", "type", "is_required", "reports", "filled", "coerced", "mistyped"),
        *("null_rate", "coercion_rate", "mistyped_rate"),
    ),
    "value_profile": (
        *_CELL,
        *("currency", "events", "negative"),
        *("value_min", "value_p25", "value_p50", "value_p75", "value_p99", "value_max"),
    ),
    "event_sample": (
        *("source", "event_name", "kind", "landed_on", "name_bytes", "hours_after_landing", "identifiers"),
        *("goal_type", "value", "value_is_missing", "currency", "deletion", "properties"),
    ),
    "property_sample": ("source", "event_name", "property", "declared", "is_required", "mode", "seen"),
}
"""The tables that can be judged, with their columns: the profile by day, and a random sample of accepted reports, as they
are and one row per declared property."""

COUNTS: Final[Mapping[str, str]] = {"event_profile": "lines", "property_profile": "reports", "value_profile": "events"}
"""What `at_least` counts in each profile."""

_VALUES: Final = frozenset({"column", "mostly"})
_BOUNDS: Final = frozenset({"column", "min_value", "max_value"})
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "column_values_to_be_between": _BOUNDS | _VALUES,
    "column_values_to_not_be_null": _VALUES,
    "column_values_to_be_null": _VALUES,
    "column_values_to_be_in_set": _VALUES | {"value_set"},
    "column_values_to_not_be_in_set": _VALUES | {"value_set"},
    "column_values_to_match_regex": _VALUES | {"regex"},
    "column_values_to_not_match_regex": _VALUES | {"regex"},
    "column_value_lengths_to_be_between": _BOUNDS | _VALUES,
    "column_max_to_be_between": _BOUNDS,
    "column_min_to_be_between": _BOUNDS,
    "column_mean_to_be_between": _BOUNDS,
    "column_median_to_be_between": _BOUNDS,
    "column_sum_to_be_between": _BOUNDS,
    "column_unique_value_count_to_be_between": _BOUNDS,
    "table_row_count_to_be_between": frozenset({"min_value", "max_value"}),
}
"""The expectations that can be used, under Great Expectations' names without `expect_`, and the keys each takes."""

Kind = Literal[
    "column_values_to_be_between",
    "column_values_to_not_be_null",
    "column_values_to_be_null",
    "column_values_to_be_in_set",
    "column_values_to_not_be_in_set",
    "column_values_to_match_regex",
    "column_values_to_not_match_regex",
    "column_value_lengths_to_be_between",
    "column_max_to_be_between",
    "column_min_to_be_between",
    "column_mean_to_be_between",
    "column_median_to_be_between",
    "column_sum_to_be_between",
    "column_unique_value_count_to_be_between",
    "table_row_count_to_be_between",
]
_SPECIFIC: Final = frozenset().union(*KINDS.values())
_NEEDED: Final = ("column", "value_set", "regex")


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,79}", name):
        raise Refusal("a name for a check: take 1 to 80 lower-case letters, digits and _, a letter first")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise Refusal("a regular expression", detail=str(error)) from None
    return text


class Expectation(Section):
    """One expectation on a frame. `where` keeps the rows whose columns have these values, `at_least` those of a profile
    that count so many lines, reports or events. `required`: to have no row to judge fails it.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    of: Frame
    expect: Kind
    column: str | None = None
    min_value: int | float | None = None
    max_value: int | float | None = None
    value_set: tuple[Scalar, ...] | None = None
    regex: Annotated[str, AfterValidator(_pattern)] | None = None
    mostly: float = Field(default=1.0, ge=0, le=1)
    where: Mapping[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    at_least: int | None = Field(default=None, ge=1)
    severity: Literal["error", "warn"] = "warn"
    required: bool = False
    description: str = ""


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


class AuditRules(Section):
    """The whole of expectations.yml."""

    expectations: tuple[Expectation, ...] = ()
    sample_rows: int = Field(default=2000, ge=0, le=100_000)
    data_docs: bool = True
    volume: VolumeRules = VolumeRules()
    freshness: FreshnessRules = FreshnessRules()
    identity: IdentityRules = IdentityRules()


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
        yield from _expectation_findings(document, path, expectation)
    entries = at(document.data, ("volume", "incidents"))
    for position in range(len(entries) if isinstance(entries, list) else 0):
        path = ("volume", "incidents", position)
        incident = attempt(_INCIDENT, document, path)
        if incident is not None and incident.first > incident.last:
            yield Finding(path, "has no day: its first lies after its last")
    silent = at(document.data, ("freshness", "sources"))
    for source in silent if isinstance(silent, dict) else ():
        if sources is not None and source not in sources:
            refusal = Refusal("a source of eventpipe.yml", accepted=sources)
            yield Finding(
                ("freshness", "sources", source), refused(document, ("freshness", "sources", source), source, refusal)
            )


def _expectation_findings(document: Document, path: KeyPath, expectation: Expectation) -> Iterator[Finding]:
    takes = KINDS[expectation.expect]
    given = expectation.model_fields_set & _SPECIFIC
    for key in sorted(given - takes):
        yield Finding((*path, key), f"says nothing to {expectation.expect}: drop it")
    for key in _NEEDED:
        if key in takes and getattr(expectation, key) is None:
            yield Finding(path, f"{expectation.expect} needs {key}")
    if "max_value" in takes and expectation.min_value is None and expectation.max_value is None:
        yield Finding(path, f"{expectation.expect} needs min_value, max_value or both")
    columns = FRAMES[expectation.of]
    for where, column in ((("column",), expectation.column), *((("where", name), name) for name in expectation.where)):
        if column is not None and column not in columns:
            refusal = Refusal(f"a column of {expectation.of}", accepted=columns)
            yield Finding((*path, *where), refused(document, (*path, *where), column, refusal))
    if expectation.at_least is not None and expectation.of not in COUNTS:
        yield Finding((*path, "at_least"), f"counts in a profile, and {expectation.of} is none")


assert set(get_args(Kind)) == set(KINDS)
