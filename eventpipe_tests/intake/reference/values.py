"""Spec 1, section 3, "Normalisation": what a single value is as text, number, instant, address or identifier.

Left out: exponents in instants, look-alike addresses, and of the codes of ISO 4217 all but some.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

CURRENCIES = frozenset({"USD", "EUR", "GBP", "JPY", "CHF"})
_NOTHINGS = {"null", "none", "undefined", "true", "false", "nan", "[object object]", "n/a", "unknown", "(not set)"}
_PLACEHOLDERS = frozenset(_NOTHINGS | {"anonymous", "guest", "-1"})
_NO_KEYS = frozenset(_NOTHINGS | {"{}", "[]"})
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)([Tt ](\d\d:\d\d)((:\d\d)([.,](\d+))?)?( ?([Zz]|[+-]\d\d(:?\d\d)?))?)?", re.ASCII)


class Number(str):
    """A JSON number: its digits as they are written."""


def load(text: str) -> Any:
    """JSON; a ValueError for what is none, with NaN, a NUL or half of a character too. Of a key given twice the first wins."""

    def refused(text: str) -> None:
        raise ValueError(text)

    def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for place, (name, value) in enumerate(pairs) if name not in dict(pairs[:place])}

    found = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=refused, object_pairs_hook=first_wins)
    json.dumps(found, ensure_ascii=False).encode()
    if re.search(r"(?<!\\)(\\\\)*\\u0000", text):
        raise ValueError(text)
    return found


def dump(value: Any) -> str:
    """JSON without blanks, numbers as they were written."""
    match value:
        case Number():
            return str(value)
        case dict():
            return "{" + ",".join(f"{dump(key)}:{dump(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def unpacked(value: Any) -> Any:
    """JSON as it is, an object also out of a text. A ValueError for a text that begins like an object and is none."""
    return load(value) if isinstance(value, str) and value.startswith("{") else value


def raw_text(value: Any) -> str | None:
    """JSON as text: what is no text as it is written."""
    return value if value is None or isinstance(value, str) else dump(value)


def text(value: Any) -> str | None:
    """What a field says: text without the blanks around it. Nothing but blanks says nothing."""
    return (raw_text(value) or "").strip() or None


def number(value: Any) -> Decimal | None:
    """A number, or a text that reads as one; none is beyond a double."""
    found = None if isinstance(value, bool) else text(value)
    if found is None or not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", found, re.ASCII):
        return None
    return Decimal(found) if abs(Decimal(found)) < Decimal("1e308") else None


def money(value: Any) -> Decimal | None:
    """decimal(18,4), half away from zero."""
    found = number(value)
    if found is None or abs(found) >= 10**15:
        return None
    found = found.quantize(Decimal("0.0001"), ROUND_HALF_UP)
    return found if abs(found) < 10**14 else None


def instant(value: Any, zone: str, form: str | None = None) -> datetime | None:
    """ISO 8601, an epoch by its magnitude; with a format only that. A naive time is of the zone."""
    found = text(value) or ""
    try:
        if form is not None:
            return _in_zone(datetime.strptime(found, form), zone)
        if re.fullmatch(r"-?\d{1,17}(\.\d{1,9})?", found, re.ASCII):
            count = Decimal(found)
            unit = 10**6 if abs(count) < 10**11 else 10**3 if abs(count) < 10**14 else 1
            micros = int((count * unit).to_integral_value(ROUND_HALF_UP))
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
        if parts := _ISO.fullmatch(found):
            day, _, minutes, _, seconds, _, fraction, _, offset, _ = parts.groups()
            clock = f"{minutes or '00:00'}{seconds or ':00'}.{(fraction or '')[:6]:0<6}"
            return _in_zone(datetime.fromisoformat(f"{day}T{clock}{(offset or '').upper()}"), zone)
    except (ValueError, OverflowError):
        pass
    return None


def _in_zone(at: datetime, zone: str) -> datetime:
    """Of two equal times on the clock the later one; one that the clock skips goes on by what is skipped."""
    if at.tzinfo:
        return at.astimezone(UTC)
    return max(at.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))


def email(value: Any) -> str | None:
    """Trimmed, composed, lower case; none where it is not written like an address."""
    found = unicodedata.normalize("NFC", text(value) or "").lower()
    return found if re.fullmatch(r"[^@\s,<>]+@([^@\s.,<>]+\.)+[^@\s.,<>]+", found) else None


def phone(value: Any, region: str | None) -> str | None:
    """E.164; a number without a country needs the region."""
    try:
        parsed = phonenumbers.parse(text(value) or "", region)
    except phonenumbers.NumberParseException:
        return None
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return e164 if phonenumbers.is_possible_number(parsed) else None


def key(value: str | None) -> str | None:
    """A key; what programs write that have none is none."""
    return None if value and value.lower() in _NO_KEYS else value


def links(value: str) -> bool:
    """Whether an identifier can tie anybody to anybody: no blocked value does; nor does JSON where an id should be."""
    blocked = value.lower() in _PLACEHOLDERS or value.startswith("noreply@") or value[0] in "{["
    return not blocked and not re.fullmatch(r"[0-]*", value)
