"""events/*.yml read into a registry, and what is wrong between their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydantic import TypeAdapter

from eventpipe.errors import Problem
from eventpipe.project.definitions import (
    DefinitionFile,
    EventDefinition,
    GoalRule,
    PropertyDefinition,
    Registry,
)
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.refusal import Finding, Refusal, refused
from eventpipe.project.validation import at, attempt, problems_of, validate
from eventpipe.project.vocabulary import DEDUPE_FIELDS, GOAL_TYPES_WITH_VALUE, PROPERTY_TARGETS

_PROPERTY: Final = TypeAdapter(PropertyDefinition)
_GOAL: Final = TypeAdapter(GoalRule)
_TEXT: Final = TypeAdapter(str)


def read_registry(
    documents: Iterable[Document], identifiers: tuple[str, ...] | None
) -> tuple[Registry | None, list[Problem]]:
    """The definitions of all files, or None and every problem of all of them.

    `identifiers` are the declared identifier types, which `maps_to` accepts; None: unknown, it accepts all.
    """
    problems: list[Problem] = []
    found: list[EventDefinition] = []
    spellings: dict[str, str] = {}
    for document in documents:
        file, wrong = validate(DefinitionFile, document)
        found += file.events if file is not None else ()
        problems += wrong
        for position in _positions(document, ("events",)):
            path: KeyPath = ("events", position)
            problems += problems_of(document, _definition_findings(document, path, identifiers))
            problems += problems_of(document, _collisions(document, path, spellings))
    if problems:
        return None, problems
    return Registry(tuple(sorted(found, key=lambda definition: definition.name))), []


def _definition_findings(document: Document, path: KeyPath, identifiers: tuple[str, ...] | None) -> Iterator[Finding]:
    """Works on those parts of it that are right alone, so that a mistake in one hides none in another."""
    positions = _positions(document, (*path, "properties"))
    attempts = {n: attempt(_PROPERTY, document, (*path, "properties", n)) for n in positions}
    properties = {position: entry for position, entry in attempts.items() if entry is not None}
    yield from _spelling_findings(document, properties, (*path, "properties"))
    yield from _target_findings(document, properties, identifiers, (*path, "properties"))
    if len(properties) < len(positions):
        return  # what the others refer to may be one that is broken
    yield from _goal_findings(document, properties, path)
    fitting = _named(properties, ("string", "number"))
    yield from _reference_findings(document, (*path, "dedupe_on"), fitting, DEDUPE_FIELDS, "string or number")


def _spelling_findings(
    document: Document, properties: Mapping[int, PropertyDefinition], path: KeyPath
) -> Iterator[Finding]:
    """Names and aliases that two properties share."""
    first: dict[str, str] = {}
    for position, entry in properties.items():
        aliases = ((("aliases", number), alias) for number, alias in enumerate(entry.aliases))
        for key, spelling in ((("name",), entry.name), *aliases):
            where = (*path, position, *key)
            if spelling in first:
                shown = document.shown(where, spelling)
                yield Finding(where, f"{shown} is already a name or alias of {first[spelling]}: keep one")
            first.setdefault(spelling, f"properties.{position}")


def _target_findings(
    document: Document,
    properties: Mapping[int, PropertyDefinition],
    identifiers: tuple[str, ...] | None,
    path: KeyPath,
) -> Iterator[Finding]:
    """`maps_to` that names no field, one that is filled already, or one that does not fit the type."""
    first: dict[str, int] = {}
    accepted = tuple(dict.fromkeys((*PROPERTY_TARGETS, *(identifiers or ()))))
    for position, entry in properties.items():
        target, where = entry.maps_to, (*path, position, "maps_to")
        if target is None:
            continue
        if target not in accepted:
            if identifiers is not None:
                refusal = Refusal("a field that a property can fill", accepted=accepted)
                yield Finding(where, refused(document, where, target, refusal))
        elif target in first:
            yield Finding(where, f"{target} is filled by properties.{first[target]} already")
        elif entry.type not in _types_for(target):
            types = " or ".join(_types_for(target))
            yield Finding(where, f"{target} takes a property of type {types}, not {entry.type}")
        first.setdefault(target, position)


def _types_for(target: str) -> tuple[str, ...]:
    if target == "value":
        return ("number",)
    return ("string",) if target in ("currency", "goal_type", "goal_name", "email") else ("string", "number")


def _goal_findings(
    document: Document, properties: Mapping[int, PropertyDefinition], path: KeyPath
) -> Iterator[Finding]:
    where, numbers = (*path, "goal"), _named(properties, ("number",))
    yield from _reference_findings(document, (*where, "value"), numbers, ("value",), "number")
    goal = attempt(_GOAL, document, where)
    if goal is None or goal.value is not None or goal.type not in GOAL_TYPES_WITH_VALUE:
        return
    if all(entry.maps_to != "value" for entry in properties.values()):
        message = f"a goal of type {goal.type} needs a value: name the property, or give one `maps_to: value`"
        yield Finding(where, message)


def _reference_findings(
    document: Document, path: KeyPath, named: Mapping[str, int], fields: tuple[str, ...], types: str
) -> Iterator[Finding]:
    """The name at `path`, if there is one, that is none of the properties `named` and none of `fields`."""
    name = attempt(_TEXT, document, path)
    if name is None or name in named or name in fields:
        return
    properties = (*path[:2], "properties")
    shown = (word for word, position in named.items() if not document.hides((*properties, position, "name")))
    refusal = Refusal(f"a defined property of type {types}", accepted=tuple(dict.fromkeys((*shown, *fields))))
    yield Finding(path, refused(document, path, name, refusal))


def _named(properties: Mapping[int, PropertyDefinition], types: tuple[str, ...]) -> dict[str, int]:
    """The properties of these types: name to position."""
    return {entry.name: position for position, entry in properties.items() if entry.type in types}


def _collisions(document: Document, path: KeyPath, spellings: dict[str, str]) -> Iterator[Finding]:
    """Names and aliases taken already; `spellings` holds those seen so far with their places, and grows.

    Definitions with other mistakes take part, so it reads what is written and not the typed objects.
    """
    aliases = ((*path, "aliases", position) for position in _positions(document, (*path, "aliases")))
    for where in ((*path, "name"), *aliases):
        spelling = attempt(_TEXT, document, where)
        if spelling is None:
            continue
        if spelling in spellings:
            shown = document.shown(where, spelling)
            yield Finding(where, f"{shown} is already a name or alias at {spellings[spelling]}: keep one")
        place = document.problem(where, "")
        spellings.setdefault(spelling, f"{place.file}:{place.line} ({place.key})")


def _positions(document: Document, path: KeyPath) -> range:
    """The positions of the list at `path`; none where there is no list."""
    entries = at(document.data, path)
    return range(len(entries) if isinstance(entries, list) else 0)
