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
    unlinked: tuple[tuple[Identifier, Identifier], ...] = ()

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


@dataclass(frozen=True)
class Refusal:
    """A tie that was not made, the rule that kept it from being made, and the set whose tie it was."""

    left: Identifier
    right: Identifier
    rule: str
    text: str
    occurred_at: datetime


@dataclass(frozen=True)
class Merge:
    """A tie that made one contact of two that both had events: their roots, and the set whose tie it was."""

    ended: Identifier
    stayed: Identifier
    text: str
    effective_at: datetime


@dataclass(frozen=True)
class _Joined:
    """What a tie made one: both sides as they were before it."""

    one: frozenset[Identifier]
    other: frozenset[Identifier]
    by: IdentifierSet


class ByTheBook:
    """The contacts of some sets."""

    def __init__(self, sets: Iterable[IdentifierSet], rules: Rules) -> None:
        self.rules = rules
        self.sets = sorted(sets, key=lambda each: (each.first_occurred_at, each.text))
        self.first_seen: dict[Identifier, datetime] = {}
        for each in self.sets:
            for member in each.members:
                self.first_seen.setdefault(member, each.first_occurred_at)
        self.refused: list[Refusal] = []
        self._joined: list[_Joined] = []
        self._groups: list[set[Identifier]] = [{member} for member in self.first_seen]
        for each in self.sets:
            strongest, *others = self._strongest_first(each.members)
            for other in others:
                self._tie(strongest, other, each)
        self.merges = [merge for joined in self._joined if (merge := self._merge(joined)) is not None]

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
        """Seen with more identifiers of one stronger type than may be."""
        company = {
            member
            for each in self.sets
            if identifier in each.members
            for member in each.members
            if self.rules.strength(member) < self.rules.strength(identifier)
        }
        per_type = [sum(kind == each.name for kind, _ in company) for each in self.rules.types]
        return max(per_type) > self.rules.shared_above

    def _held(self, identifier: Identifier) -> Contact:
        contact = self.holder(identifier)
        assert contact is not None
        return contact

    def _strongest_first(self, members: Iterable[Identifier]) -> Sequence[Identifier]:
        # Of two identifiers of a type the one that was seen first is the stronger.
        return sorted(members, key=lambda each: (self.rules.strength(each), self.first_seen[each], each[1]))

    def _age(self, identifier: Identifier) -> tuple[datetime, int, str]:
        return (self.first_seen[identifier], self.rules.strength(identifier), identifier[1])

    def _tie(self, left: Identifier, right: Identifier, by: IdentifierSet) -> None:
        if self.shared(left) or self.shared(right):
            return
        one = next(group for group in self._groups if left in group)
        other = next(group for group in self._groups if right in group)
        if one is other:
            return
        rule = self._broken(one | other)
        if rule is not None:
            self.refused.append(Refusal(left, right, rule, by.text, by.first_occurred_at))
            return
        self._joined.append(_Joined(frozenset(one), frozenset(other), by))
        self._groups.remove(other)
        one |= other

    def _broken(self, together: set[Identifier]) -> str | None:
        """The rule that a contact of these would break."""
        if any(one in together and other in together and one != other for one, other in self.rules.unlinked):
            return "unlink"
        for kind in self.rules.types:
            if sum(member[0] == kind.name for member in together) > kind.limit:
                return f"limit:{kind.name}"
        return None

    def _merge(self, joined: _Joined) -> Merge | None:
        if not self._had_events(joined.one, joined.by) or not self._had_events(joined.other, joined.by):
            return None
        older, younger = sorted((min(side, key=self._age) for side in (joined.one, joined.other)), key=self._age)
        return Merge(younger, older, joined.by.text, joined.by.first_occurred_at)

    def _had_events(self, side: frozenset[Identifier], by: IdentifierSet) -> bool:
        """Whether events with an earlier set belong to whoever these identifiers were on their own."""
        for each in self.sets[: self.sets.index(by)]:
            members = self._strongest_first(each.members)
            speaking = next((member for member in members if self.rules.known(member)), members[0])
            if speaking in side and self.contact_of(each).root is not None:
                return True
        return False
