"""Data of a document against pydantic models: a typed object, or every problem with its place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from eventpipe.errors import Problem
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.refusal import Finding, Refusal, hint, refused

TAG: Final = "#"
"""Tags of discriminated unions begin with it: pydantic's error locations hold them, the file does not."""

REFUSED: Final = "refused"
"""The type of a union's own error; its context says under `expected` what a value of it would be."""

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "mapping_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
    "date_type": "a date like 1990-01-31",
    "date_parsing": "a date like 1990-01-31",
    "date_from_datetime_parsing": "a date like 1990-01-31",
    "date_from_datetime_inexact": "a date like 1990-01-31",
    "string_too_short": "long enough: it is empty",
}


class Section(BaseModel):
    """One mapping of a project file: unknown keys and wrong types are errors; it cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


SectionT = TypeVar("SectionT", bound=Section)
T = TypeVar("T")


def validate(model: type[SectionT], document: Document) -> tuple[SectionT | None, list[Problem]]:
    """The whole document as a `model`, or None and all that is wrong with it.

    Validated as JSON: pydantic is strict there about numbers and booleans, while a list may fill a tuple and
    a text a date, which is what YAML can say. (A section with lists or dates can have no `before` validator:
    it would leave JSON mode.) A top-level key with nothing under it, its lines commented out, says nothing.
    """
    data = {} if document.data is None else document.data
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if value is not None}
    try:
        return model.model_validate_json(json.dumps(data)), []
    except ValidationError as error:
        problems = [_problem(model, document, detail) for detail in error.errors(include_url=False)]
        return None, [problem for problem in problems if problem is not None]


def attempt(kind: TypeAdapter[T], document: Document, path: KeyPath) -> T | None:
    """The data at `path` as a `kind`, None where it is wrong: for checks beside a mistake."""
    try:
        return kind.validate_json(json.dumps(at(document.data, path)), strict=True)
    except ValidationError:
        return None


def at(data: Any, path: KeyPath) -> Any:
    """The value at `path`; an empty mapping where the file has no such key."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return data


def problems_of(document: Document, findings: Iterable[Finding]) -> list[Problem]:
    """Findings as problems of the document, without those that follow from an unset variable."""
    return [document.problem(found.path, found.message) for found in findings if found.path not in document.unresolved]


def _problem(model: type[Section], document: Document, detail: ErrorDetails) -> Problem | None:
    where = tuple(part for part in detail["loc"] if not str(part).startswith(TAG))
    if where in document.unresolved:
        return None
    return document.problem(where, _message(model, document, where, detail))


def _message(model: type[Section], document: Document, where: KeyPath, detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        keys = _accepted_keys(model, detail["loc"][:-1])
        return f"unknown key{hint(where[-1], keys)}"
    if kind == "missing":
        return "is required"
    if kind == "value_error" and isinstance(context.get("error"), Refusal):
        return refused(document, where, value, context["error"])
    if kind == "literal_error":
        words = _accepted_words(model, detail["loc"])
        return refused(document, where, value, Refusal("accepted", accepted=words))
    if kind == REFUSED:
        return refused(document, where, value, Refusal(str(context["expected"])))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        accepted = "a field name, {field: ...}, {value: ...} or {sql: ...}"
        return refused(document, where, value, Refusal(accepted))
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"{context['ge']} or more" if "ge" in context else f"{context['le']} or less"
        return refused(document, where, value, Refusal(bound))
    if kind == "string_too_long":
        return refused(document, where, value, Refusal(f"{context['max_length']} characters or fewer"))
    return refused(document, where, value, Refusal(_EXPECTED.get(kind, f"accepted ({kind.replace('_', ' ')})")))


def _accepted_keys(model: type[Section], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    found = _annotation(model, loc)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return ()
    return tuple(field.alias or name for name, field in found.model_fields.items())


def _accepted_words(model: type[Section], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    return tuple(str(word) for word in get_args(_annotation(model, loc)))


def _annotation(model: type[Section], loc: tuple[int | str, ...]) -> Any:
    """The type that the schema asks for at an error's location, without `Annotated`, `| None` and aliases."""
    found: Any = model
    for part in loc:
        options = _options(found)
        found = next((step for option in options for step in _step(option, part)), None)
    return next(iter(_options(found)), None)


def _options(annotation: Any) -> list[Any]:
    if hasattr(annotation, "__value__"):
        return _options(annotation.__value__)
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for arg in get_args(annotation) if arg is not NoneType for option in _options(arg)]
    return [annotation]


def _step(annotation: Any, part: int | str) -> list[Any]:
    if isinstance(part, str) and part.startswith(TAG):
        named = getattr(annotation, "union_tag", None)
        return [annotation] if named in (None, part) else []
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return [field.annotation for name, field in fields if part in (field.alias, name)]
    if get_origin(annotation) is tuple:
        return [get_args(annotation)[0]]
    return [get_args(annotation)[1]] if len(get_args(annotation)) == 2 else []
