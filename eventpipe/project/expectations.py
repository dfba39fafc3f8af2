"""An expectation of expectations.yml: what Great Expectations asks of a profile or of a sample, as a frozen typed object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, PlainValidator

from eventpipe.project.document import Document, KeyPath
from eventpipe.project.refusal import Finding, Refusal, refused
from eventpipe.project.validation import Section

Frame = Literal["event_profile", "property_profile", "value_profile", "event_sample", "property_sample"]
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
        *("goal_type", "value", "value_is_missing", "currency", "deletion", "properties", "violations"),
    ),
    "property_sample": ("source", "event_name", "property", "declared", "is_required", "mode", "seen"),
}
"""The tables that can be judged, with their columns: the profile by day, and a random sample of accepted reports, as they
are and one row per declared property. `violations` counts what a definition that only observes would have rejected the
report for."""

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


def _value(written: object) -> Scalar:
    if isinstance(written, bool | int | float | str):
        return written
    raise Refusal("text, a number, true or false")


def _wanted(written: object) -> Scalar | tuple[Scalar, ...]:
    if isinstance(written, list) and all(isinstance(each, bool | int | float | str) for each in written):
        return tuple(written)
    if isinstance(written, list | dict) or written is None:
        raise Refusal("text, a number, true or false, or a list of those")
    return _value(written)


class Expectation(Section):
    """One expectation on a frame. `where` keeps the rows whose columns have these values, `at_least` those of a profile
    that count so many lines, reports or events. `required`: to have no row to judge fails it.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    of: Frame
    expect: Kind
    column: str | None = None
    min_value: float | None = None
    max_value: float | None = None
    value_set: tuple[Annotated[Scalar, PlainValidator(_value)], ...] | None = None
    regex: Annotated[str, AfterValidator(_pattern)] | None = None
    mostly: float = Field(default=1.0, ge=0, le=1)
    where: Mapping[str, Annotated[Scalar | tuple[Scalar, ...], PlainValidator(_wanted)]] = Field(default_factory=dict)
    at_least: int | None = Field(default=None, ge=1)
    severity: Literal["error", "warn"] = "warn"
    required: bool = False
    description: str = ""

    def texts(self) -> Iterator[str]:
        """The texts that it compares with."""
        wanted = [self.value_set or (), *(each if isinstance(each, tuple) else (each,) for each in self.where.values())]
        yield from (value for values in wanted for value in values if isinstance(value, str))


def expectation_findings(document: Document, path: KeyPath, expectation: Expectation) -> Iterator[Finding]:
    """What is wrong between its keys, at `path` of `document`."""
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
