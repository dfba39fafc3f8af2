"""Who is who among the reports: the rule of docs/identity.md, walked through one tie at a time.

Slow and plain on purpose: it serves as the second opinion on the pipeline's own solver.
"""

from __future__ import annotations

from collections.abc import Mapping

from eventpipe.sample.report import Who

_TYPES = ("customer_id", "email", "phone", "anonymous_id")
_LIMITS = (1, 5, 5, 50)
_ANONYMOUS = 3

Identifier = tuple[int, str]
"""Strength (0 is strongest) and value."""


class Contacts:
    """The contacts that follow from identifier sets and the second in which each set was first seen."""

    def __init__(self, first_seen: Mapping[Who, int]) -> None:
        self._parent: dict[Identifier, Identifier] = {}
        self._sizes: dict[Identifier, tuple[int, ...]] = {}
        self.conflicts: set[tuple[Identifier, Identifier]] = set()
        for who, _at in sorted(first_seen.items(), key=_by_time):
            strongest, *others = identifiers(who)
            self._add(strongest)
            for other in others:
                self._add(other)
                if not self._tie(strongest, other):
                    self.conflicts.add((strongest, other))

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def known(self) -> int:
        """How many contacts have an identifier that is more than a device."""
        return sum(1 for sizes in self._sizes.values() if any(sizes[:_ANONYMOUS]))

    def of(self, who: Who) -> Identifier:
        """The contact of a report, named by one of its identifiers: that of the strongest, devices coming
        last.
        """
        return self._find(identifiers(who)[0])

    def is_known(self, anonymous_id: str) -> bool:
        """True when the device's contact has an identifier that is more than a device."""
        return any(self._sizes[self._find((_ANONYMOUS, anonymous_id))][:_ANONYMOUS])

    def _add(self, identifier: Identifier) -> None:
        if identifier not in self._parent:
            self._parent[identifier] = identifier
            self._sizes[identifier] = tuple(int(strength == identifier[0]) for strength in range(len(_TYPES)))

    def _find(self, identifier: Identifier) -> Identifier:
        while (above := self._parent[identifier]) != identifier:
            self._parent[identifier] = self._parent[above]
            identifier = above
        return identifier

    def _tie(self, one: Identifier, other: Identifier) -> bool:
        """Joins their contacts, unless the result would have more identifiers of a type than its limit."""
        left, right = self._find(one), self._find(other)
        if left == right:
            return True
        sizes = tuple(a + b for a, b in zip(self._sizes[left], self._sizes[right], strict=True))
        if any(size > limit for size, limit in zip(sizes, _LIMITS, strict=True)):
            return False
        self._parent[right] = left
        self._sizes[left] = sizes
        del self._sizes[right]
        return True


def identifiers(who: Who) -> list[Identifier]:
    """The identifiers of a report, strongest first."""
    return [(strength, value) for strength, value in enumerate(who) if value is not None]


def _by_time(seen: tuple[Who, int]) -> tuple[int, str]:
    """Sets are taken in the order of their first second, ties by their text."""
    who, at = seen
    return at, "\n".join(f"{_TYPES[strength]}:{value}" for strength, value in identifiers(who))
