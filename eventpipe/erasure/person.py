"""Who is to be erased: a contact of the published tables with all that it is known by, and what only deleted events, older
versions of events and rejected lines know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from eventpipe.client import UnknownContact, contact_ids_sql, events_sql, find_contact, identifiers_sql
from eventpipe.errors import UsageError
from eventpipe.identity.meant import meant
from eventpipe.identity.rules import Rules
from eventpipe.project.folder import Project
from eventpipe.serving.reading import Store
from eventpipe.sql import literal

_ALL = 100_000_000

Identifier = tuple[str, str]
"""(type, value)."""

Carried = Callable[[str, Iterable[Identifier]], Iterable[tuple[Identifier, ...]]]
"""The identifier sets in the lines of a workspace that hold any of these identifiers, each strongest first."""


@dataclass(frozen=True)
class Person:
    """`identifiers` are those of the contact, and those that stand beside them on lines and are nobody else's; `contact_ids` every
    id that the contact was ever published under, none where nobody is known by the identifier; `event_ids` its events."""

    workspace_id: str
    contact_ids: tuple[str, ...]
    identifiers: tuple[Identifier, ...]
    event_ids: tuple[str, ...]

    @classmethod
    def found(cls, store: Store, project: Project, carried: Carried, identifier: str, type: str | None = None) -> Self:
        """The person that an identifier, or a contact id, stands for.

        With a `type`, an identifier that nobody holds is taken as it is: lines that were rejected or deleted may have it, and
        lines that are still to come. Errors: `UnknownContact`, `UsageError`.
        """
        if not identifier.strip():
            raise UsageError("An empty text is nobody's identifier.")
        try:
            key = find_contact(store, project, identifier, type)
        except UnknownContact:
            wanted = {each for each in meant(project, [identifier])[0] if each[0] == type}
            if not wanted:
                raise
            world = project.settings.workspace
            return cls(world, (), _Closing(store, Rules.of(project), carried, world, None).closed(wanted), ())
        world = key.workspace_id
        held = {(row["identifier_type"], row["identifier_value"]) for row in _rows(store, identifiers_sql(key))}
        ids = [row["contact_id"] for row in _rows(store, contact_ids_sql(key))]
        events = [row["event_id"] for row in _rows(store, events_sql(key))]
        identifiers = _Closing(store, Rules.of(project), carried, world, key.contact_id).closed(held)
        return cls(world, tuple(sorted(ids)), identifiers, tuple(sorted(events)))

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for the ops store; `of` reads it back."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """What `as_dict` wrote."""
        return cls(
            stored["workspace_id"],
            tuple(stored["contact_ids"]),
            tuple((type, value) for type, value in stored["identifiers"]),
            tuple(stored["event_ids"]),
        )


@dataclass(frozen=True)
class _Closing:
    """What else is a person's. `contact_id` is the one that they have now."""

    store: Store
    rules: Rules
    carried: Carried
    world: str
    contact_id: str | None

    def closed(self, held: set[Identifier]) -> tuple[Identifier, ...]:
        """These identifiers, and those beside them on lines of theirs: no other contact holds them, and nobody else's line has
        them, as a device that many share."""
        theirs, frontier = set(held), set(held)
        while frontier:
            sets = set(self.carried(self.world, frontier))
            elsewhere = self._held_by_others({each for found in sets for each in found})
            lines = [found for found in sets if self.rules.owner(found) not in elsewhere]
            beside = {each for found in lines for each in found} - elsewhere - theirs
            frontier = {each for each in beside if self._is_only_theirs(each, theirs | beside)}
            theirs |= frontier
        return tuple(sorted(theirs))

    def _is_only_theirs(self, identifier: Identifier, theirs: set[Identifier]) -> bool:
        owners = (self.rules.owner(found) for found in self.carried(self.world, [identifier]))
        return all(owner is None or owner in theirs for owner in owners)

    def _held_by_others(self, identifiers: Iterable[Identifier]) -> set[Identifier]:
        values = ", ".join(f"({literal(type)}, {literal(value)})" for type, value in sorted(identifiers))
        if not values:
            return set()
        rows = _rows(
            self.store,
            f"with wanted (type, value) as (values {values}) select identifier_type, identifier_value, contact_id"
            " from contact_identifiers join wanted on identifier_type = type and identifier_value = value"
            f" where workspace_id = {literal(self.world)}",
        )
        return {
            (row["identifier_type"], row["identifier_value"]) for row in rows if row["contact_id"] != self.contact_id
        }


def _rows(store: Store, query: str) -> list[dict[str, Any]]:
    answer = store.ask(query)
    names = [column.name for column in answer.columns]
    return [dict(zip(names, row, strict=True)) for row in answer.fetch(_ALL)]
