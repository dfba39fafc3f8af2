"""Which ties joined two contacts that both had events before them.

Events are a contact's by an identifier that holds them, the *anchor* of their set. Most contacts begin once and grow by
identifiers that nothing was known of; a merge needs two beginnings. Those are counted for all contacts at once, and
only the ties of contacts that began more than once are walked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eventpipe.identity.codes import NEVER, Codes, Flags, Sets, Ties, begins, earliest

_TOGETHER: Final = 64
"""Ties of a contact that are taken step by step with those of all others: each step costs about as much as 100 ties."""


@dataclass(frozen=True)
class Merges:
    """One row per merge, in order: the root of the contact that ended, of the one that stayed, and the tie's place."""

    ended: Codes
    stayed: Codes
    place: Codes


def merges(sets: Sets, ties: Ties, root: Codes, anchor: Codes) -> Merges:
    """`ties` are those that were made; `anchor` is, per set, the node that holds its events, -1 where the set has a
    contact of its own.
    """
    count = len(root)
    anchored = np.flatnonzero(anchor >= 0).astype(np.int32)
    since = earliest(count, anchor[anchored], anchored)
    twice = _began_twice(sets, ties, root, anchor, anchored, since)
    walked = ties.where(twice[root[ties.left]])
    contact, number = _by_contact(root[walked.left])
    walked = Ties(walked.left[number], walked.right[number], walked.place[number])
    joined, ended, stayed = _walk(walked, contact, since)
    in_order = np.argsort(number[joined])
    return Merges(ended[in_order], stayed[in_order], walked.place[joined][in_order])


def _by_contact(contacts: Codes) -> tuple[Codes, Codes]:
    """The ties' contacts sorted, and the ties' numbers in that order, each contact's ascending."""
    keys = (contacts.astype(np.int64) << 32) | np.arange(len(contacts))
    keys.sort()
    return (keys >> 32).astype(np.int32), (keys & 0xFFFFFFFF).astype(np.int32)


def _began_twice(sets: Sets, ties: Ties, root: Codes, anchor: Codes, anchored: Codes, since: Codes) -> Flags:
    """Per node whether it is the root of a contact that may have had several beginnings."""
    count = len(root)
    # Since when anything was known of an identifier: events of its own, or a tie.
    active = np.minimum(since, earliest(count, ties.left, ties.place))
    active = np.minimum(active, earliest(count, ties.right, ties.place))
    # A set begins a contact unless one of its members that went to the same contact was known before.
    first = sets.first
    holder = np.where(anchor >= 0, root[anchor], -1)
    same = root[sets.node] == holder[sets.place]
    known_since = np.minimum.reduceat(np.where(same, active[sets.node], NEVER), first) if len(first) else active[:0]
    beginning = anchored[known_since[anchored] >= anchored]
    beginnings = np.bincount(root[anchor[beginning]], minlength=count)
    # Members of a set with a contact of its own may be tied and have no events: whoever they went to is looked at.
    beginnings[root[sets.node[(anchor < 0)[sets.place]]]] += 2
    several: Flags = beginnings > 1
    return several


def _walk(ties: Ties, contact: Codes, since: Codes) -> tuple[NDArray[np.int64], Codes, Codes]:
    """The positions of the ties that merged, and which roots ended and stayed. `ties` are sorted by their `contact`,
    each contact's in order; `since` is, per node, the place of its first events.

    Contacts share no node, so all of them take their next tie at once; those with very many ties go on alone.
    """
    first = np.flatnonzero(begins(contact))
    lengths = np.diff(np.append(first, len(contact)))
    longest_first = np.argsort(-lengths, kind="stable")
    first, lengths = first[longest_first], lengths[longest_first]
    parent = np.arange(len(since), dtype=np.int32)
    joined, ended, stayed = [np.empty(0, dtype=np.int64)], [parent[:0]], [parent[:0]]
    for step in range(min(_TOGETHER, int(lengths[0]) if len(lengths) else 0)):
        at = first[: np.searchsorted(-lengths, -step)] + step
        one, other = _roots(parent, ties.left[at]), _roots(parent, ties.right[at])
        at, one, other = at[one != other], one[one != other], other[one != other]
        older, younger = np.minimum(one, other), np.maximum(one, other)
        met = np.maximum(since[older], since[younger]) < ties.place[at]
        joined.append(at[met])
        ended.append(younger[met])
        stayed.append(older[met])
        parent[younger] = older
        since[older] = np.minimum(since[older], since[younger])
    for start, length in zip(first.tolist(), lengths.tolist(), strict=True):
        if length <= _TOGETHER:
            break
        rest = slice(start + _TOGETHER, start + length)
        alone = _walk_alone(Ties(ties.left[rest], ties.right[rest], ties.place[rest]), parent, since)
        at, younger, older = np.array(alone, dtype=np.int64).reshape(-1, 3).T
        joined.append(at + rest.start)
        ended.append(younger.astype(np.int32))
        stayed.append(older.astype(np.int32))
    return np.concatenate(joined), np.concatenate(ended), np.concatenate(stayed)


def _roots(parent: Codes, nodes: Codes) -> Codes:
    while True:
        above = parent[nodes]
        if np.array_equal(above, nodes):
            return nodes
        nodes = above


def _walk_alone(ties: Ties, parents: Codes, sinces: Codes) -> list[tuple[int, int, int]]:
    """(position, ended, stayed) of the merges of one contact, from where the walk of all stopped."""
    nodes = np.unique(np.concatenate([ties.left, ties.right]))
    roots = _roots(parents, nodes)
    parent = dict(zip(nodes.tolist(), roots.tolist(), strict=True)) | {root: root for root in roots.tolist()}
    since = {root: int(sinces[root]) for root in roots.tolist()}
    found = []
    for position, (one, other, at) in enumerate(
        zip(ties.left.tolist(), ties.right.tolist(), ties.place.tolist(), strict=True)
    ):
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        while parent[other] != other:
            parent[other] = other = parent[parent[other]]
        if one == other:
            continue
        older, younger = min(one, other), max(one, other)
        if since[older] < at and since[younger] < at:
            found.append((position, younger, older))
        parent[younger] = older
        since[older] = min(since[older], since[younger])
    return found
