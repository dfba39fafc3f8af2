"""A source's `map`: canonical field <- source field, constant or SQL expression.

order_id:    InvoiceNo                                          FieldPath
occurred_at: {field: InvoiceDate, format: "%Y-%m-%d %H:%M:%S"}  FieldPath with a format
event_name:  {value: order.completed}                           Constant
value:       {sql: "cast(Quantity as decimal(18,4)) * 2"}       SqlField
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Discriminator, Field, SkipValidation, Tag, TypeAdapter, model_validator

from eventpipe.project.codes import currencies
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.expression import ScalarExpression, parse_expression
from eventpipe.project.refusal import Finding, Refusal, hint, refused
from eventpipe.project.validation import Section, at, attempt
from eventpipe.project.vocabulary import GOAL_TYPES, KINDS, MAPPABLE_FIELDS, TIME_FIELDS

_DIRECTIVES: Final = re.compile(r"%(-?[aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%])")
_NOT_MAPPED_AS_CONSTANT: Final = ("properties", "extra", "traits")


def _time_format(text: str) -> str:
    rest = _DIRECTIVES.sub("", text)
    if "%" in rest or rest == text:
        raise Refusal("a format of strptime like %Y-%m-%d %H:%M:%S")
    return text


def _scalar(value: Any) -> Any:
    if not isinstance(value, (str, int, float)):
        raise Refusal("a constant: text, a number, true or false")
    return value


def _checked_expression(text: str) -> str:
    parse_expression(text)
    return text


class FieldPath(Section):
    """A field of the record: the name of a column or a key, else a dotted JSON path. `format` is for strptime."""

    union_tag: ClassVar[str] = "#field"

    field: str = Field(min_length=1, max_length=1000)
    format: Annotated[str, AfterValidator(_time_format)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, data: Any) -> Any:
        return {"field": data} if isinstance(data, str) else data


class Constant(Section):
    """The same value for every record of the source."""

    union_tag: ClassVar[str] = "#value"

    value: Annotated[str | int | float | bool, SkipValidation, AfterValidator(_scalar)]


class SqlField(Section):
    """A scalar expression over the record's fields; `sql` is as written, `expression` is what may run."""

    union_tag: ClassVar[str] = "#sql"

    sql: Annotated[str, AfterValidator(_checked_expression)]

    @cached_property
    def _parsed(self) -> ScalarExpression:
        return parse_expression(self.sql)

    @property
    def expression(self) -> str:
        """DuckDB SQL in which each field is one quoted identifier, `"a.b"` for the JSON path a.b."""
        return self._parsed.sql

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of those identifiers, once each."""
        return self._parsed.fields


def _kind_of_entry(entry: Any) -> str | None:
    if isinstance(entry, str):
        return FieldPath.union_tag
    if isinstance(entry, dict):
        return next((f"#{key}" for key in ("sql", "value", "field") if key in entry), None)
    return getattr(entry, "union_tag", None)


FieldMap = Annotated[
    Annotated[FieldPath, Tag(FieldPath.union_tag)]
    | Annotated[Constant, Tag(Constant.union_tag)]
    | Annotated[SqlField, Tag(SqlField.union_tag)],
    Discriminator(_kind_of_entry),
]


def fields_of(entry: FieldPath | Constant | SqlField) -> tuple[str, ...]:
    """The fields of the record that an entry reads."""
    match entry:
        case FieldPath():
            return (entry.field,)
        case SqlField():
            return entry.fields
        case Constant():
            return ()


_ENTRY: Final[TypeAdapter[FieldPath | Constant | SqlField]] = TypeAdapter(FieldMap)


def map_findings(document: Document, path: KeyPath, identifiers: Collection[str]) -> Iterator[Finding]:
    """What the types cannot see in the `map` at `path`: unknown fields, entries that their field cannot take.

    `identifiers` are the declared identifier types. Works on what the file says, so that a mistake in one
    entry hides none in another.
    """
    accepted = tuple(dict.fromkeys((*MAPPABLE_FIELDS, *identifiers)))
    fields = at(document.data, path)
    for name in fields if isinstance(fields, dict) else ():
        where = (*path, name)
        if name not in accepted:
            yield Finding(where, f"is no canonical field and no identifier type{hint(name, accepted)}")
            continue
        entry = attempt(_ENTRY, document, where)
        if isinstance(entry, FieldPath) and entry.format is not None and name not in TIME_FIELDS:
            message = f"applies only to {' and '.join(TIME_FIELDS)}: map {name} with sql instead"
            yield Finding((*where, "format"), message)
        elif isinstance(entry, Constant) and (refusal := _unfit_constant(name, entry.value)):
            yield Finding((*where, "value"), refused(document, (*where, "value"), entry.value, refusal))


def _unfit_constant(name: str, value: str | float | bool) -> Refusal | None:
    words = {"kind": KINDS, "goal_type": GOAL_TYPES}.get(name)
    if words is not None:
        return None if value in words else Refusal("accepted", accepted=words)
    if name == "currency":
        return None if value in currencies() else Refusal("an ISO 4217 currency like EUR")
    if name == "value":
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if number else Refusal("a number (without quotes)")
    if name in _NOT_MAPPED_AS_CONSTANT:
        return Refusal("possible here: a constant is one value, this field holds a JSON object")
    return None if isinstance(value, str) and value.strip() else Refusal("text (put it in quotes)")
