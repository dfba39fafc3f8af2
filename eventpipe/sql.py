"""Quoting for the SQL text that eventpipe writes itself. Values and names from data or configuration pass through here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from eventpipe.errors import UsageError

# What a JSON text is made of: texts, numbers, and what is between them.
_JSON_PARTS = r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+'


def literal(value: str | int | float | bool | Decimal | date | datetime | None) -> str:
    """A SQL literal. Strings and dates are quoted; NUL, which no SQL string may hold, is refused."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
    if "\0" in text:
        raise UsageError("A text with a NUL character cannot be used in a query. Remove the character.")
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    if "\0" in name:
        raise UsageError("A name with a NUL character cannot be used in a query. Remove the character.")
    return '"' + name.replace('"', '""') + '"'


def literals(values: Iterable[str]) -> str:
    """A comma-separated list of literals, for `in (...)` and `[...]`."""
    return ", ".join(literal(value) for value in values)


def json_path(keys: Iterable[str]) -> str:
    """A JSON path literal for a sequence of object keys, each quoted: `'$."a"."b c"'`."""
    return literal("$" + "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys))


def json_rewritten(document: str, part: str) -> str:
    """The JSON text `document` with each of its texts, its numbers and of what is between them, called `part`, as the expression
    `part` has it. It is taken apart once."""
    parts = f"regexp_extract_all({document}, {literal(_JSON_PARTS)})"
    return f"array_to_string(list_transform({parts}, lambda part: {part}), '')"


def one_of(text: str, values: Iterable[str]) -> str:
    """True where the text expression is one of a few values. DuckDB turns a longer `in` into a join, which costs more
    than the comparisons and breaks the pipeline into two."""
    return "(" + " or ".join(f"{text} = {literal(value)}" for value in values) + ")"
