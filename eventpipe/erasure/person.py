"""Who is to be erased: a contact of the published tables with all that it is known by, or an identifier that nobody has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from eventpipe.client import UnknownContact, contact_ids_sql, events_sql, find_contact, identifiers_sql
from eventpipe.identity.meant import meant
from eventpipe.project.folder import Project
from eventpipe.serving.reading import Store

_ALL = 100_000_000


@dataclass(frozen=True)
class Person:
    """`identifiers` are (type, value); `contact_ids` every id that the contact was ever published under, none where nobody is known
    by the identifier; `event_ids` its events."""

    workspace_id: str
    contact_ids: tuple[str, ...]
    identifiers: tuple[tuple[str, str], ...]
    event_ids: tuple[str, ...]

    @classmethod
    def found(cls, store: Store, project: Project, identifier: str, type: str | None = None) -> Self:
        """The person that an identifier, or a contact id, stands for.

        With a `type`, an identifier that nobody holds is taken as it is: lines that were rejected may have it, and lines that
        are still to come. Errors: `UnknownContact`, `UsageError`.
        """
        try:
            key = find_contact(store, project, identifier, type)
        except UnknownContact:
            meanings = tuple(dict.fromkeys(meant(project, [identifier])[0]))
            wanted = tuple(each for each in meanings if each[0] == type)
            if not wanted:
                raise
            return cls(project.settings.workspace, (), wanted, ())
        held = [(row["identifier_type"], row["identifier_value"]) for row in _rows(store, identifiers_sql(key))]
        ids = [row["contact_id"] for row in _rows(store, contact_ids_sql(key))]
        events = [row["event_id"] for row in _rows(store, events_sql(key))]
        return cls(key.workspace_id, tuple(sorted(ids)), tuple(sorted(held)), tuple(sorted(events)))

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


def _rows(store: Store, query: str) -> list[dict[str, Any]]:
    answer = store.ask(query)
    names = [column.name for column in answer.columns]
    return [dict(zip(names, row, strict=True)) for row in answer.fetch(_ALL)]
