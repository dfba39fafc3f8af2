"""Values of the tables as text, as JSON and as cells of a CSV file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal

# What a spreadsheet takes for the beginning of a formula; the wide forms are read like the
# narrow ones.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

_NEEDS_QUOTES = re.compile(r'[",\r\n]')


class JsonText(str):
    """Text that is JSON already."""

    __slots__ = ()


def plain(value: object) -> str:
    """A value as people read it: instants in ISO 8601, lists and structs as JSON, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple | dict):
        return json_text(value)
    return str(value)


def moment(value: datetime | None) -> str:
    """An instant as a column of a table shows it: UTC, to the second; nothing for null."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def csv_line(values: Iterable[object]) -> str:
    """A line of a CSV file (RFC 4180), with values as in `plain`: nothing for null, "" for empty text.

    Text that a spreadsheet would run as a formula is made text by an apostrophe before it.
    """
    return ",".join(_csv_cell(value) for value in values) + "\n"


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    text = plain(value)
    if isinstance(value, str) and text.startswith(_FORMULA):
        text = f"'{text}"
    if not text or _NEEDS_QUOTES.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def json_text(value: object, indent: int | None = None, depth: int = 0) -> str:
    """A value as JSON. Decimals are numbers with all their digits, instants are ISO 8601 text, NaN and
    infinity null.
    """
    if isinstance(value, JsonText):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    if isinstance(value, Mapping):
        parts = (f"{json_text(str(key))}: {json_text(each, indent, depth + 1)}" for key, each in value.items())
        return _enclosed("{", parts, "}", indent, depth)
    if isinstance(value, list | tuple):
        return _enclosed("[", (json_text(each, indent, depth + 1) for each in value), "]", indent, depth)
    if value is None or isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value.isoformat() if isinstance(value, datetime) else plain(value), ensure_ascii=False)


def _enclosed(opening: str, parts: Iterator[str], closing: str, indent: int | None, depth: int) -> str:
    listed = list(parts)
    if not listed:
        return opening + closing
    if indent is None:
        return opening + ", ".join(listed) + closing
    inner, outer = "\n" + " " * indent * (depth + 1), "\n" + " " * indent * depth
    return opening + inner + ("," + inner).join(listed) + outer + closing
