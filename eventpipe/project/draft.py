"""A definition written from what was seen: a beginning to edit, never taken by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from eventpipe.project.vocabulary import PROPERTY_TARGETS, PropertyType

ALWAYS: Final = 0.999
"""The share of reports that must carry a property for it to be drafted as required."""

_TARGET_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "value": ("number",),
    **dict.fromkeys(("currency", "goal_type", "goal_name", "email"), ("string",)),
}


@dataclass(frozen=True)
class SeenProperty:
    """A property as the catalogue knows it. `types` are JSON types, or `date` where all of its strings are dates."""

    name: str
    types: tuple[str, ...]
    fill_rate: float


def draft(event_name: str, properties: Sequence[SeenProperty], aliases: Sequence[str] = ()) -> str:
    """A file for events/: the event in mode observe, so that it rejects nothing before somebody has looked."""
    lines = [
        "events:",
        f"  - name: {_text(event_name)}",
        '    description: ""',
        *([f"    aliases: [{', '.join(map(_text, aliases))}]"] if aliases else []),
        "    mode: observe                # counts what breaks it; enforce rejects it",
    ]
    drafted = [_property(each) for each in properties]
    if drafted:
        lines += ["    properties:", *drafted]
    return "\n".join(lines) + "\n"


def _property(seen: SeenProperty) -> str:
    known = [kind for kind in seen.types if kind in get_args(PropertyType)]
    kind = known[0] if len(known) == 1 else "string"
    parts = [f"name: {_text(seen.name)}", f"type: {kind}"]
    if seen.fill_rate >= ALWAYS:
        parts.append("required: true")
    if seen.name in PROPERTY_TARGETS and kind in _TARGET_TYPES.get(seen.name, ("string", "number")):
        parts.append(f"maps_to: {seen.name}")
    remark = "" if len(known) == 1 else f"  # seen as {', '.join(seen.types) or 'null only'}"
    return f"      - {{{', '.join(parts)}}}{remark}"


def _text(text: str) -> str:
    """Text as YAML reads it back: quoted as JSON, which is YAML, unless it is a plain word."""
    plain = text.isascii() and text.replace(".", "").replace("_", "").isalnum() and not text[0].isdigit()
    reserved = text.lower() in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return text if plain and not reserved else json.dumps(text, ensure_ascii=False)
