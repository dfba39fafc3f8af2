"""Identifiers and sets as integers: what the solver takes, gives back, and passes from hand to hand.

A *node* is an identifier, numbered by age: earliest seen, then strongest, then text. A *place* is a set, numbered in
the order in which sets are taken: first `occurred_at`, then the set's own text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int32).max
"""A place after all places."""


@dataclass(frozen=True)
class Limits:
    """Per identifier type, strongest first: whether it is known, and how many one contact may hold.

    A value seen with more than `shared_above` identifiers of one stronger type is shared and ties nobody.
    """

    known: Sequence[bool]
    most: Sequence[int]
    shared_above: int


@dataclass(frozen=True)
class Sets:
    """Members of all sets: `node` lies in the set at `place`. Ordered by place, in a set strongest first, then oldest.

    `strength` is per node: its type's, 0 the strongest. Every place from 0 on has at least one member.
    """

    place: Codes
    node: Codes
    strength: NDArray[np.int8]

    @property
    def first(self) -> NDArray[np.int64]:
        """Where each set begins."""
        return np.flatnonzero(begins(self.place))


@dataclass(frozen=True)
class Ties:
    """Ties in the order in which they are taken: the strongest node of a set, another one, and the set's place."""

    left: Codes
    right: Codes
    place: Codes

    def __len__(self) -> int:
        return len(self.place)

    def where(self, kept: Flags) -> Ties:
        """Those of them."""
        return Ties(self.left[kept], self.right[kept], self.place[kept])


def begins(values: NDArray[np.integer[Any]]) -> Flags:
    """Which of the sorted values are not the one before them."""
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def earliest(count: int, nodes: Codes, places: Codes) -> Codes:
    """For each of `count` nodes the first of its `places`, which ascend; NEVER where it has none."""
    found = np.full(count, NEVER, dtype=np.int32)
    found[nodes[::-1]] = places[::-1]  # of several assignments the last one stays
    return found
