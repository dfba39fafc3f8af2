"""Numbers with all digits that were sent, as SQL: money is decimal.

The engine's JSON parser keeps a whole number of any length, but reads one with a point as a double, and so writes it
again with at most 17 digits. What was sent still stands in the text of the line, where it is found by the double that it
makes.
"""

from __future__ import annotations

from eventpipe.sql import json_rewritten, literal

_SHORT = 14
"""So short a text of a double says all that was sent."""

# Also in texts, like a time of day: what is found is a number of JSON nevertheless, which has no zeros before it.
_WITH_POINT = r"-?(?:0|[1-9][0-9]*)\.[0-9]+"


def as_sent(number: str, text: str) -> str:
    """The text `number`; where the engine wrote it, the first number of the JSON `text` that it writes so."""
    numbers = _numbers(text)
    lost = f"list_filter({numbers}, lambda d: {_rewritten('d')} = {number})[1]"
    sent = f"case when not list_contains({numbers}, {number}) then {lost} end"
    return f"case when length({number}) > {_SHORT} then coalesce({sent}, {number}) else {number} end"


def lost(text: str) -> str:
    """The numbers in the JSON `text` that the engine writes otherwise, beside what it writes: a struct of two lists."""
    long = literal(f"[0-9.]{{{_SHORT + 1}}}")
    numbers = f"list_filter({_numbers(text)}, lambda d: case when length(d) > {_SHORT} then {_rewritten('d')} <> d end)"
    found = f"list_distinct(case when regexp_matches({text}, {long}) then {numbers} else [] end)"
    written = f"list_transform(sent, lambda d: {_rewritten('d')})"
    return f"list_transform([{found}], lambda sent: {{'sent': sent, 'written': {written}}})[1]"


def restored(document: str, numbers: str) -> str:
    """The JSON `document`, which the engine has written again, with those `numbers` that were `lost` in it.

    It is taken apart once, however many there are, and texts in it are let alone.
    """
    # Only a number is looked for: it begins with a digit or a minus.
    sent = f"case when part >= '-' and part < ':' then {numbers}.sent[list_position({numbers}.written, part)] end"
    whole = json_rewritten(f"cast({document} as varchar)", f"coalesce({sent}, part)")
    return f"case when len({numbers}.sent) > 0 then {whole} else {document} end"


def _numbers(text: str) -> str:
    return f"regexp_extract_all({text}, {literal(_WITH_POINT)})"


def _rewritten(number: str) -> str:
    return f"cast(json_extract('[' || {number} || ']', '$[0]') as varchar)"
