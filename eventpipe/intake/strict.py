"""Which lines are JSON as RFC 8259 has it, within the depth limit.

DuckDB's parser also takes NaN, Infinity and trailing commas, and turns `\\u0000` into a NUL; those lines are refused.
Bytes are scanned once, by numpy, for lines that may hold such a thing; only those suspects are looked at closely, as SQL.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventpipe.sql import literal

_SUSPECT = r"(?i)[:\[,]\s*[-+]?(nan|inf)|,\s*[\]}]|\\u0000"
_STRING = r'"([^"\\]|\\.)*"'
_NOT_JSON = r"(?i)nan|inf|,\s*[\]}]"
_NUL_ESCAPE = r"(^|[^\\])(\\\\)*\\u0000"
_PACKED_DEPTH = 32
_BEFORE_A_VALUE = b":,[+-"


def suspects(text: bytes, starts: NDArray[np.int64], depth: int) -> NDArray[np.bool_]:
    """For each line of `text`, which begin at `starts`: whether it may be no JSON though DuckDB reads it, or nests
    deeper than `depth`. Never false for such a line."""
    codes = np.frombuffer(text, dtype=np.uint8)
    # One bit apart are `[` and `{`, `]` and `}`, and a letter's cases.
    lower = codes | np.uint8(0x20)
    opening = true_at(lower == ord("{"))
    found = np.diff(np.searchsorted(opening, np.append(starts, len(codes)))) > depth
    closing = true_at(lower == ord("}"))
    words = _pairs(lower, b"na", b"in")
    commas = closing[_preceded(codes, closing, b",")]
    words = words[_preceded(codes, words, _BEFORE_A_VALUE)]
    escapes = _places(text, b"\\u0000") if b"\\" in text else []
    for places in (commas, words, escapes):
        found[np.searchsorted(starts, places, side="right") - 1] = True
    return found


def true_at(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where a long mask with few true bytes is true: `flatnonzero` of eight at a time is several times as fast."""
    whole = len(mask) & ~7
    eights = mask[:whole].view(np.uint64)
    some = np.flatnonzero(eights != 0)
    inside = np.flatnonzero(mask[:whole].reshape(-1, 8)[some])
    return np.concatenate(((some[inside >> 3] << 3) + (inside & 7), np.flatnonzero(mask[whole:]) + whole))


def _pairs(codes: NDArray[np.uint8], one: bytes, other: bytes) -> NDArray[np.int64]:
    """Where one of two pairs of bytes begins, in no order: two bytes are compared at a time, from even places and odd ones."""
    wanted = np.frombuffer(one + other, dtype="<u2")
    found = []
    for first in (0, 1):
        pairs = codes[first : first + ((len(codes) - first) & ~1)].view("<u2")
        found.append(true_at((pairs == wanted[0]) | (pairs == wanted[1])) * 2 + first)
    return np.concatenate(found)


def _preceded(codes: NDArray[np.uint8], places: NDArray[np.int64], by: bytes) -> NDArray[np.bool_]:
    """Whether the byte before each place is white space or one of `by`."""
    before = codes[places - 1]
    found = before <= ord(" ")
    for code in by:
        found |= before == code
    return found


def _places(text: bytes, wanted: bytes) -> list[int]:
    places: list[int] = []
    place = text.find(wanted)
    while place >= 0:
        places.append(place)
        place = text.find(wanted, place + 1)
    return places


def fault(raw: str, is_object: str, suspect: str, depth: int) -> str:
    """A reason code, or null for a line that holds one JSON object.

    `is_object` says that DuckDB's parser read an object, `suspect` what `suspects` says.
    """
    bare = f"regexp_replace({raw}, {literal(_STRING)}, '\"\"', 'g')"
    # Nested, not joined by `and`: the engine tries the conditions of a conjunction in any order, at times dear ones first.
    not_json = (
        f"case when regexp_matches({raw}, {literal(_SUSPECT)})"
        f" then regexp_matches({bare}, {literal(_NOT_JSON)}) or regexp_matches({raw}, {literal(_NUL_ESCAPE)}) end"
    )
    closely = f"case when {not_json} then 'json.invalid' when {_deeper(bare, depth)} then 'json.depth' end"
    return f"case when not coalesce({is_object}, false) then 'json.invalid' when {suspect} then {closely} end"


def packed_fault(text: str) -> str:
    """The same for a list or an object that is written as a string: the limit of its line does not see into it."""
    return fault(text, f"json_valid({text})", "true", _PACKED_DEPTH)


def trailing_comma(text: str) -> str:
    """True where a comma has nothing behind it, which DuckDB's parser takes and leaves out of what it writes again."""
    bare = f"regexp_replace({text}, {literal(_STRING)}, '\"\"', 'g')"
    comma = literal(r",\s*[\]}]")
    return f"(regexp_matches({text}, {comma}) and regexp_matches({bare}, {comma}))"


def _deeper(bare: str, depth: int) -> str:
    """True when brackets nest deeper than `depth`: each round takes away the innermost pairs, of one kind by then."""
    brackets = f"translate(regexp_replace({bare}, '[^\\[\\]{{}}]', '', 'g'), '{{}}', '[]')"
    rounds = f"list_prepend({brackets}, list_transform(range({depth}), lambda i: ''))"
    return f"list_reduce({rounds}, lambda text, _: replace(text, '[]', '')) <> ''"
