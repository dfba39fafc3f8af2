"""Tests of properties, traits and columns as SQL: text in, true, false or null out.

Every value is a literal that sqlglot quotes; names of properties are too, as JSON pointers, for a JSON path would read
some of them as patterns. Null, missing and a value of another kind pass no test but `exists: false`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlglot import exp

from eventpipe.iso8601 import LOCAL, OFFSET
from eventpipe.segments.expressions import is_there, or_false
from eventpipe.segments.grammar import operators_of
from eventpipe.segments.operands import day, number
from eventpipe.segments.window import instant, start_of

_ORDER: Final[dict[str, type[exp.Binary]]] = {
    "gt": exp.GT,
    "gte": exp.GTE,
    "lt": exp.LT,
    "lte": exp.LTE,
    "at_least": exp.GTE,
    "at_most": exp.LTE,
    "more_than": exp.GT,
    "less_than": exp.LT,
    "equals": exp.EQ,
}
_NUMBER: Final = "decimal(38, 9)"
_SMALL_NUMBER: Final = "decimal(18, 9)"
"""The same of numbers below a billion. The engine reads a text into 64 bits many times as fast as into 128."""


@dataclass(frozen=True)
class Attribute:
    """Something to test: its value as text, and, where it can be a list, the same as JSON."""

    text: exp.Expr
    json: exp.Expr | None = None

    def where(self, condition: exp.Expr, otherwise: Attribute) -> Attribute:
        """This one of the rows of which a condition holds, of all others another one."""

        def either(this: exp.Expr, that: exp.Expr) -> exp.Expr:
            return exp.case().when(condition.copy(), this.copy()).else_(that.copy())

        json = None if self.json is None or otherwise.json is None else either(self.json, otherwise.json)
        return Attribute(either(self.text, otherwise.text), json)


def json_attribute(column: exp.Expr, name: str, field: exp.Expr | None = None) -> Attribute:
    """A top-level key of a JSON object; where it is not there, a field of the row, as text."""
    text = _anonymous("json_extract_string", column, _pointer(name))
    if field is not None:
        text = exp.Coalesce(this=text, expressions=[field])
    return Attribute(text, _anonymous("json_extract", column, _pointer(name)))


def amount_text(column: exp.Expr) -> exp.Expr:
    """A decimal(18, 4) as text, as one writes it: 50, not 50.0000."""
    return _without_last(_without_last(exp.cast(column, "text"), "0"), ".")


def tests(attribute: Attribute, test: Any, timezone: str) -> Iterator[exp.Expr]:
    """One condition per operator of a test."""
    for operator, value in operators_of(test):
        yield _test(attribute, operator, value, timezone)


def compared(value: exp.Expr, comparison: str, bound: Any) -> exp.Expr:
    """A number against a number, or between two."""
    if comparison == "between":
        low, high = bound
        return exp.Between(this=value.copy(), low=number_literal(low), high=number_literal(high))
    return _ORDER[comparison](this=value.copy(), expression=number_literal(bound))


def attribute_compared(attribute: Attribute, comparison: str, value: Any, timezone: str) -> exp.Expr:
    """An attribute against a number or a date; `equals` takes everything."""
    if comparison == "equals":
        return _equal(attribute.text, value)
    return _ordered(_ORDER[comparison], attribute.text, value, timezone)


def number_literal(value: Any) -> exp.Expr:
    """An exact literal, never in exponents."""
    plain = format(number(value), "f")
    if plain.startswith("-"):
        return exp.Neg(this=exp.Literal.number(plain[1:]))
    return exp.Literal.number(plain)


def _test(attribute: Attribute, operator: str, value: Any, timezone: str) -> exp.Expr:
    text = attribute.text
    match operator:
        case "eq":
            return _equal(text, value)
        case "ne":
            differs = exp.Not(this=or_false(_equal(text, value)))
            return exp.and_(is_there(text), differs)
        case "in":
            return exp.or_(*(_equal(text, each) for each in value))
        case "between":
            low, high = value
            return exp.and_(_ordered(exp.GTE, text, low, timezone), _ordered(exp.LTE, text, high, timezone))
        case "contains":
            return _contains(attribute, _plain(value))
        case "starts_with":
            return exp.StartsWith(this=text.copy(), expression=exp.Literal.string(value))
        case "exists":
            return is_there(text) if value else exp.Is(this=text.copy(), expression=exp.Null())
        case _:
            return _ordered(_ORDER[operator], text, value, timezone)


def _equal(text: exp.Expr, value: Any) -> exp.Expr:
    if isinstance(value, str | bool):
        return exp.EQ(this=text.copy(), expression=exp.Literal.string(_plain(value)))
    return exp.EQ(this=_number(text), expression=_exact(value))


def _ordered(kind: type[exp.Binary], text: exp.Expr, value: Any, timezone: str) -> exp.Expr:
    """Dates are compared as calendar dates in the project's timezone, instants as instants, all else as numbers."""
    if not isinstance(value, str):
        return kind(this=_number(text), expression=_exact(value))
    moment = day(value)
    if isinstance(moment, datetime):
        return kind(this=_instant(text, timezone), expression=instant(start_of(moment, timezone)))
    return kind(this=_calendar_date(text, timezone), expression=_date(moment))


def _instant(text: exp.Expr, timezone: str) -> exp.Expr:
    """An instant in ISO 8601; a time without an offset is of the project's timezone."""
    local = exp.AtTimeZone(this=_try(text, "timestamp"), zone=exp.Literal.string(timezone))
    return (
        exp.case()
        .when(_is_written(text, LOCAL + OFFSET), _try(text, "timestamptz"))
        .when(_is_written(text, LOCAL), local)
    )


def _calendar_date(text: exp.Expr, timezone: str) -> exp.Expr:
    """A date as it is written; of an instant, the date that the project's timezone has then."""
    there = exp.AtTimeZone(this=_try(text, "timestamptz"), zone=exp.Literal.string(timezone))
    written = exp.Left(this=text.copy(), expression=exp.Literal.number(len("2026-01-31")))
    return (
        exp.case()
        .when(_is_written(text, LOCAL + OFFSET), exp.cast(there, "date"))
        .when(_is_written(text, LOCAL), _try(written, "date"))
    )


def _is_written(text: exp.Expr, pattern: str) -> exp.Expr:
    return exp.RegexpLike(this=text.copy(), expression=exp.Literal.string(f"^{pattern}$"))


def _try(text: exp.Expr, kind: str) -> exp.Expr:
    return exp.TryCast(this=text.copy(), to=exp.DataType.build(kind))


def _contains(attribute: Attribute, part: str) -> exp.Expr:
    """A part of a text, or an element of a list."""
    inside = exp.GT(
        this=exp.StrPosition(this=attribute.text.copy(), substr=exp.Literal.string(part)),
        expression=exp.Literal.number(0),
    )
    if attribute.json is None:
        return inside
    is_list = exp.EQ(this=_anonymous("json_type", attribute.json), expression=exp.Literal.string("ARRAY"))
    elements = exp.cast(attribute.json.copy(), "varchar[]")
    return exp.case().when(is_list, _anonymous("list_contains", elements, exp.Literal.string(part))).else_(inside)


def _number(text: exp.Expr) -> exp.Expr:
    """Null where the text is none. The engine would read `5_000` as one."""
    written = _anonymous("replace", text, exp.Literal.string("_"), exp.Literal.string("?"))
    return exp.Coalesce(this=_try(written, _SMALL_NUMBER), expressions=[_try(written, _NUMBER)])


def _exact(value: Any) -> exp.Expr:
    return exp.cast(number_literal(value), _NUMBER)


def _date(value: date) -> exp.Expr:
    return exp.cast(exp.Literal.string(value.isoformat()), "date")


def _plain(value: Any) -> str:
    """A value as JSON's text of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else format(number(value).normalize(), "f")


def _pointer(name: str) -> exp.Expr:
    return exp.Literal.string("/" + name.replace("~", "~0").replace("/", "~1"))


def _without_last(text: exp.Expr, character: str) -> exp.Expr:
    return exp.Trim(this=text, expression=exp.Literal.string(character), position="TRAILING")


def _anonymous(function: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=function, expressions=[each.copy() for each in arguments])
