"""Amounts that are written with a unit: durations (`60s`) and sizes (`2GB`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from eventpipe.project.refusal import Refusal

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES: Final = {
    "": 1,
    "B": 1,
    **{prefix + "B": 1000**power for power, prefix in enumerate(("K", "M", "G", "T"), start=1)},
    **{prefix + "iB": 1024**power for power, prefix in enumerate(("K", "M", "G", "T"), start=1)},
}
_UNITS: Final = {unit.lower(): unit for unit in _BYTES}
_DURATION: Final = re.compile(r"\s*([0-9]{1,9})\s*([smhdw])\s*")
_SIZE: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\s*")


def duration(text: object) -> timedelta:
    """`60s`, `15m`, `2h`, `30d` or `1w`. Raises Refusal for anything else, a bare number included."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Refusal("a duration: write a whole number and s, m, h, d or w, like 60s")
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise Refusal("a duration that ends within the calendar") from None


def byte_count(size: object) -> int:
    """Bytes of a whole number or of text with a unit: `1MiB` is 1024 * 1024, `50GB` is 50 * 10^9."""
    match = None if isinstance(size, bool) else _SIZE.fullmatch(str(size))
    unit = None if match is None else _UNITS.get(match[2].lower())
    if match is None or unit is None:
        raise Refusal("a size: write a number and KB, MB, GB, TB, KiB, MiB, GiB or TiB, like 2GB")
    amount = int(float(match[1]) * _BYTES[unit]) if "." in match[1] else int(match[1]) * _BYTES[unit]
    if not 0 < amount < 2**63:
        raise Refusal("a size that a machine can have")
    return amount


def _engine_size(size: str) -> str:
    """A size in the spelling DuckDB takes (`memory_limit`, `max_temp_directory_size`), else Refusal."""
    byte_count(size)
    match = _SIZE.fullmatch(size)
    unit = _UNITS[match[2].lower()] if match else ""
    return f"{match[1]}{unit or 'B'}" if match else size


Duration = Annotated[timedelta, BeforeValidator(duration)]
ByteCount = Annotated[int, BeforeValidator(byte_count)]
EngineSize = Annotated[str, AfterValidator(_engine_size)]
