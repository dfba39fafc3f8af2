"""Dates and instants as people and machines write them in ISO 8601, as regular expressions of a whole text (RE2)."""

from __future__ import annotations

from typing import Final

DATE: Final = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

# Hours end at 23: `24:00:00` has two readings and is refused. DuckDB itself refuses 30 February and second 60.
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"

OFFSET: Final = r"(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
"""From UTC."""

LOCAL: Final = rf"{DATE}([T ]{_TIME})?"
"""A date, or a date and a time of some timezone."""
