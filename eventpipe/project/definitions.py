"""Event definitions, the tracking plan, as frozen typed objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from eventpipe.project.refusal import Refusal
from eventpipe.project.validation import Section
from eventpipe.project.vocabulary import (
    GoalType,
    Mode,
    PropertyType,
    UnknownProperties,
)

MAX_NAME_BYTES: Final = 100


def _name(text: str) -> str:
    if text != text.strip() or not 1 <= len(text.encode()) <= MAX_NAME_BYTES:
        raise Refusal(f"a name: take 1 to {MAX_NAME_BYTES} bytes without blanks around them")
    return text


Name = Annotated[str, AfterValidator(_name)]


class PropertyDefinition(Section):
    """One property of an event; its value also fills the canonical field `maps_to`."""

    name: Name
    type: PropertyType
    required: bool = False
    maps_to: str | None = None
    aliases: tuple[Name, ...] = ()
    description: str = ""


class GoalRule(Section):
    """What every event of this name counts as; `value` names the property that holds the worth."""

    type: GoalType
    value: str | None = None
    name: Name | None = None


class EventDefinition(Section):
    """One event: what it is called, what it carries, what it counts as."""

    name: Name
    description: str = ""
    aliases: tuple[Name, ...] = ()
    properties: tuple[PropertyDefinition, ...] = ()
    goal: GoalRule | None = None
    dedupe_on: str | None = None
    unknown_properties: UnknownProperties = "keep"
    mode: Mode = "enforce"

    @cached_property
    def version(self) -> str:
        """12 hex digits of the content's hash; a default that is written out does not change it."""
        return _content_hash(self.model_dump(mode="json", exclude_defaults=True))


class DefinitionFile(Section):
    """One file of events/."""

    events: tuple[EventDefinition, ...] = Field(default=())


@dataclass(frozen=True)
class Registry:
    """All definitions of a project, sorted by name."""

    definitions: tuple[EventDefinition, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, EventDefinition]:
        """The definitions by canonical name."""
        return {definition.name: definition for definition in self.definitions}

    @cached_property
    def canonical_names(self) -> Mapping[str, str]:
        """Every name and alias with its canonical name. Spellings are exact: what is not listed is drift."""
        return {
            spelling: definition.name
            for definition in self.definitions
            for spelling in (definition.name, *definition.aliases)
        }

    @cached_property
    def version(self) -> str:
        """12 hex digits that change when any definition does."""
        return _content_hash([[definition.name, definition.version] for definition in self.definitions])

    def canonical(self, name: str) -> str | None:
        """The canonical name of a name or alias, None where no definition lists it."""
        return self.canonical_names.get(name)


def _content_hash(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
