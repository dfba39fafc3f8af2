"""Spec 2, "Resolution", word by word and slowly: contacts are Python sets, nothing is indexed, every tie is walked.

It shares no code with `eventpipe.identity.solve` and is what that is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

Identifier = tuple[str, str]
"""Type and value."""


@dataclass(frozen=True)
class Type:
    """An identifier type; a list of them is strongest first."""

    name: str
    known: bool
    limit: int


@dataclass(frozen=True)
class Rules:
    types: tuple[Type, ...]
    shared_above: int

    def strength(self, identifier: Identifier) -> int:
        """0 is the strongest."""
        return [each.name for each in self.types].index(identifier[0])

    def known(self, identifier: Identifier) -> bool:
        return self.types[self.strength(identifier)].known


@dataclass(frozen=True)
class IdentifierSet:
    """A distinct set that live events carry: its text, when it first occurred, its usable identifiers."""

    text: str
    first_occurred_at: datetime
    members: frozenset[Identifier]


@dataclass(frozen=True)
class Contact:
    """What the ties connect; `root` is its earliest-seen identifier. Without a root it is one set's own contact."""

    root: Identifier | None
    members: frozenset[Identifier]
    text: str | None = None

    @property
    def label(self) -> Identifier:
        """What the contact's id is derived from."""
        return self.root or ("the set", str(self.text))


class ByTheBook:
    """The contacts of some sets."""

    def __init__(self, sets: Iterable[IdentifierSet], rules: Rules) -> None:
        self.rules = rules
        self.sets = sorted(sets, key=lambda each: (each.first_occurred_at, each.text))
        self.first_seen: dict[Identifier, datetime] = {}
        for each in self.sets:
            for member in each.members:
                self.first_seen.setdefault(member, each.first_occurred_at)
        self.refused: list[tuple[Identifier, Identifier]] = []
        self._groups: list[set[Identifier]] = [{member} for member in self.first_seen]
        for each in self.sets:
            strongest, *others = self._strongest_first(each.members)
            for other in others:
                self._tie(strongest, other)

    def holder(self, identifier: Identifier) -> Contact | None:
        """The contact that an identifier belongs to; None for one that no live event carries."""
        for group in self._groups:
            if identifier in group:
                return Contact(min(group, key=self._age), frozenset(group))
        return None

    def contact_of(self, each: IdentifierSet) -> Contact:
        """Whose the events with this set are."""
        for member in self._strongest_first(each.members):
            if self.rules.known(member):
                return self._held(member)
        contacts = {self._held(member) for member in each.members}
        if len(contacts) == 1:
            return contacts.pop()
        return Contact(None, each.members, each.text)

    def shared(self, identifier: Identifier) -> bool:
        """Seen with more of the strongest identifiers than may be."""
        if self.rules.strength(identifier) == 0:
            return False
        company = {
            member
            for each in self.sets
            if identifier in each.members
            for member in each.members
            if self.rules.strength(member) == 0
        }
        return len(company) > self.rules.shared_above

    def _held(self, identifier: Identifier) -> Contact:
        contact = self.holder(identifier)
        assert contact is not None
        return contact

    def _strongest_first(self, members: Iterable[Identifier]) -> Sequence[Identifier]:
        # Of two identifiers of a type the one that was seen first is the stronger.
        return sorted(members, key=lambda each: (self.rules.strength(each), self.first_seen[each], each[1]))

    def _age(self, identifier: Identifier) -> tuple[datetime, int, str]:
        return (self.first_seen[identifier], self.rules.strength(identifier), identifier[1])

    def _tie(self, left: Identifier, right: Identifier) -> None:
        if self.shared(left) or self.shared(right):
            return
        one = next(group for group in self._groups if left in group)
        other = next(group for group in self._groups if right in group)
        if one is other:
            return
        for kind in self.rules.types:
            if sum(member[0] == kind.name for member in one | other) > kind.limit:
                self.refused.append((left, right))
                return
        self._groups.remove(other)
        one |= other
