"""Which ties joined two contacts that both had events before them (spec 2, "Outputs", contact_merges).

Events are a contact's by an identifier that holds them, the *anchor* of their set. Most contacts begin once and grow by
identifiers that nothing was known of; a merge needs two beginnings. Those are counted for all contacts at once, and
only the ties of contacts that began more than once are walked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventpipe.identity.codes import NEVER, Codes, Flags, Sets, Ties, earliest


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
    # Numbered anew, so that the walk's lists are as long as what is walked.
    nodes = np.flatnonzero(twice[root])
    local = np.zeros(count, dtype=np.int32)
    local[nodes] = np.arange(len(nodes), dtype=np.int32)
    found = _walk(
        local[walked.left].tolist(), local[walked.right].tolist(), walked.place.tolist(), since[nodes].tolist()
    )
    ended, stayed, place = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return Merges(nodes[ended].astype(np.int32), nodes[stayed].astype(np.int32), place.astype(np.int32))


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
    begins = anchored[known_since[anchored] >= anchored]
    beginnings = np.bincount(root[anchor[begins]], minlength=count)
    # Members of a set with a contact of its own may be tied and have no events: whoever they went to is looked at.
    beginnings[root[sets.node[(anchor < 0)[sets.place]]]] += 2
    several: Flags = beginnings > 1
    return several


def _walk(left: list[int], right: list[int], place: list[int], since: list[int]) -> list[tuple[int, int, int]]:
    """(ended, stayed, place) of each merge; `since` is, per node, the place of its first events."""
    parent = list(range(len(since)))
    found = []
    for one, other, at in zip(left, right, place, strict=True):
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        while parent[other] != other:
            parent[other] = other = parent[parent[other]]
        if one == other:
            continue
        older, younger = (one, other) if one < other else (other, one)
        if since[older] < at and since[younger] < at:
            found.append((younger, older, at))
        parent[younger] = older
        since[older] = min(since[older], since[younger])
    return found
