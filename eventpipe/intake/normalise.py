"""Normalisation of values, each rule once, as SQL over text expressions.

`register(connection)` must have been called on the connection that runs the SQL: phone numbers need Python's
`phonenumbers`. Identifiers given on the command line go through the same expressions.
"""

from __future__ import annotations

import duckdb
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import FunctionNullHandling, PythonUDFType

from eventpipe.iso8601 import DATE, LOCAL, OFFSET
from eventpipe.project.vocabulary import NOTHINGS
from eventpipe.sql import literal, one_of

# What Unicode calls white space; DuckDB's own trim() knows the blank only.
_SPACE = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_EMAIL = r"[^\s@<>(),;:\"\[\]\\]+@[^\s@<>(),;:\"\[\]\\.]+(\.[^\s@<>(),;:\"\[\]\\.]+)+"
# No double is out of reach of 100 digits and an exponent of two.
_DECIMAL_TEXT = r"[+-]?([0-9]{1,100}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"
_EPOCH = r"-?[0-9]{1,17}(\.[0-9]{1,9})?"
# Also ISO 8601: lower case letters, a comma for the point, no seconds, a blank before the offset.
_LOOSE = rf"{DATE}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{{1,9}})?)?( ?([Zz]|{OFFSET}))?"
# Foreign letters among Latin ones may be look-alikes; what prints as an ASCII letter, as a part of one or not at all is
# one anywhere: invisible marks, dotless i, a dot of its own, letterlike signs, ligatures, full-width and mathematical letters.
_FOREIGN = r"[\p{Cyrillic}\p{Greek}\p{Armenian}\p{Cherokee}]"
_LOOK_ALIKE = (
    r"[\p{Cf}\x{131}\x{251}\x{261}\x{307}\x{2100}-\x{218F}\x{2460}-\x{24FF}"
    r"\x{FB00}-\x{FB06}\x{FF00}-\x{FFEF}\x{1D400}-\x{1D7FF}]"
)
_NO_KEYS = (*NOTHINGS, "{}", "[]")
_PHONE_FUNCTION = "eventpipe_phone"


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions that these expressions call known to a connection."""
    connection.create_function(
        _PHONE_FUNCTION,
        _phones,
        ["VARCHAR", "VARCHAR"],
        "VARCHAR",
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def trimmed(text: str) -> str:
    """Without white space at both ends; nothing left is null."""
    # trim() with a set of characters builds that set for every row: only texts that may need it pay for it, those with a
    # character outside of ASCII, or below `!` at an end.
    plain = f"strlen({text}) = length({text}) and {text} >= '!' and ({text})[-1] >= '!'"
    return f"case when {plain} then {text} else nullif(trim({text}, {literal(_SPACE)}), '') end"


def key(text: str) -> str:
    """Trimmed text as a key; null where it is what programs write that have none, for all such events would be one."""
    longest = max(map(len, _NO_KEYS))
    none = one_of(f"lower({text})", _NO_KEYS)
    return f"case when strlen({text}) > {longest} then {text} when not {none} then {text} end"


def folded(text: str) -> str:
    """Trimmed text as addresses are compared: NFC, lower case."""
    # The engine's lower() makes an `i` of a capital I with a dot, and so one address of two: Unicode's keeps the dot.
    return f"lower(replace(nfc_normalize({trimmed(text)}), '\u0130', 'i\u0307'))"


def email(folded_text: str) -> str:
    """A `folded` text; null when it is not written like an address of at most 254 bytes."""
    return (
        f"case when regexp_full_match({folded_text}, {literal(_EMAIL)})"
        f" and strlen({folded_text}) <= 254 then {folded_text} end"
    )


def email_is_mixed(address: str) -> str:
    """True for a normalised address that mixes scripts or may be taken for another one: it is flagged and never folded."""
    # An address in ASCII, nearly every one, is told apart by its size: no regular expression runs on it.
    return (
        f"(case when strlen({address}) > length({address})"
        f" then regexp_matches({address}, {literal(_LOOK_ALIKE)})"
        f" or (regexp_matches({address}, {literal(_FOREIGN)}) and regexp_matches({address}, '[a-z]')) else false end)"
    )


def phone(text: str, default_region: str | None) -> str:
    """E.164; null when it is no possible number, or has no country and the source no `default_region`."""
    # Into Python only with something to read.
    return f"case when {text} is not null then {_PHONE_FUNCTION}({trimmed(text)}, {literal(default_region)}) end"


def number(text: str) -> str:
    """True for text that is a number as people and JSON write it (no blanks, separators, NaN or infinity)."""
    return f"regexp_full_match({text}, {literal(_DECIMAL_TEXT)})"


def money(text: str) -> str:
    """decimal(18,4), half away from zero; null when it is no number or beyond the type."""
    return f"case when {number(text)} then try_cast({text} as decimal(18, 4)) end"


def instant(text: str, timezone: str, form: str | None) -> str:
    """timestamptz in microseconds; null when it cannot be read.

    ISO 8601 with or without offset (a local time uses `timezone`; one that a clock change skips is moved forward by
    the gap, of two equal ones the later, standard-time one is taken), or an epoch in seconds, milliseconds or
    microseconds by its magnitude. With `form` (strptime) only that form is read.
    """
    zone = literal(timezone)
    if form is not None:
        read = f"try_strptime({text}, {literal(form)})"
        return f"cast({read} as timestamptz)" if "%z" in form.lower() else f"timezone({zone}, {read})"
    seconds = f"try_cast({text} as double)"
    # A whole number stays one: a double holds microseconds of our time only just.
    whole = f"case when not contains({text}, '.') then try_cast({text} as bigint) end"
    return (
        # Seconds of our time, what most senders write, are told by their ten digits.
        f"case when regexp_full_match({text}, '[0-9]{{10}}') then make_timestamptz(cast({text} as bigint) * 1000000)"
        f" when regexp_full_match({text}, {literal(_EPOCH)}) then make_timestamptz(case"
        f" when abs({seconds}) < 1e11 then coalesce({whole} * 1000000, cast({seconds} * 1e6 as bigint))"
        f" when abs({seconds}) < 1e14 then coalesce({whole} * 1000, cast({seconds} * 1e3 as bigint))"
        f" else coalesce({whole}, cast({seconds} as bigint)) end)"
        f" else {_written(text, zone)} end"
    )


def _written(text: str, zone: str) -> str:
    tight = f"replace(regexp_replace(upper({text}), ' ([Z+-])', '\\1'), ',', '.')"
    tidy = f"regexp_replace({tight}, '^(.{{10}}[T ][0-9]{{2}}:[0-9]{{2}})([Z+-]|$)', '\\1:00\\2')"
    loose = f"case {_strict(tidy, zone)} end"
    return f"case {_strict(text, zone)} when regexp_full_match({text}, {literal(_LOOSE)}) then {loose} end"


def _strict(text: str, zone: str) -> str:
    return (
        f"when regexp_full_match({text}, {literal(LOCAL + OFFSET)}) then try_cast({text} as timestamptz)"
        f" when regexp_full_match({text}, {literal(LOCAL)}) then timezone({zone}, try_cast({text} as timestamp))"
    )


def day(text: str) -> str:
    """True for text that is a calendar date or an instant in ISO 8601."""
    return f"(regexp_full_match({text}, {literal(LOCAL + '(' + OFFSET + ')?')}) and try_cast(left({text}, 10) as date) is not null)"


def currency(text: str) -> str:
    """Upper case ISO 4217 letters; whether the code exists is the contract's question."""
    return f"upper({trimmed(text)})"


def _phones(numbers: pa.Array, regions: pa.Array) -> pa.Array:
    """E.164 for a vector of numbers; each distinct one is parsed once."""
    encoded = pc.dictionary_encode(numbers.combine_chunks() if isinstance(numbers, pa.ChunkedArray) else numbers)
    region = regions[0].as_py() if len(regions) else None
    clean = pa.array([_e164(value, region) for value in encoded.dictionary.to_pylist()], pa.string())
    return clean.take(encoded.indices)


def _e164(number: str, region: str | None) -> str | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
