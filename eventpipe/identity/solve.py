"""Who belongs together, on integer codes in columnar arrays.

The rule. Sets are taken in the order of their first `occurred_at`, ties by the sets' own text. Within a set the
strongest identifier is tied to each of the others, strongest first. A tie is made unless the contact that would result
held more identifiers of a type than its limit, or two that somebody unlinked; then it is refused, and nothing else
happens. A value that is seen with too many identifiers of a stronger type is shared, and tied to nobody. A contact is
what the ties connect; its root is its earliest-seen identifier.

Where a component of all ties stays within every limit, no tie can have been refused, and order does not matter: plain
connected components decide it. Only components that hold a conflict are walked tie by tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from eventpipe.identity.codes import NEVER, Codes, Flags, Limits, Sets, Ties
from eventpipe.identity.limits import MADE, Pairs, in_conflict, walk
from eventpipe.identity.merges import Merges, merges

OWN_CONTACT: Final = -1
_NONE: Final = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Conflicts:
    """One row per refused tie, in order; `rule` is the strength of the type whose limit refused it, or UNLINKED."""

    ties: Ties
    rule: NDArray[np.int16]


@dataclass(frozen=True)
class Solution:
    """Per node: `root`, the oldest node of its contact; `component`, the oldest of everything reachable before limits;
    `shared`. Per set: `owner`, the root of its contact, or OWN_CONTACT where unknown identifiers point at different
    contacts.
    """

    root: Codes
    component: Codes
    shared: Flags
    owner: Codes
    merges: Merges
    conflicts: Conflicts


def solve(sets: Sets, limits: Limits, unlinked: Pairs, shared_anyway: Codes = _NONE) -> Solution:
    """Resolve `sets`; `unlinked` are pairs of nodes that must not become one contact's, `shared_anyway` nodes that tie nobody,
    however few they are seen with."""
    count = len(sets.strength)
    ties = _ties(sets)
    component = _components(count, ties)
    shared = _shared(sets, limits.shared_above)
    shared[shared_anyway] = True
    root = component.copy()
    if shared.any():
        ties = ties.where(~(shared[ties.left] | shared[ties.right]))
        root = _components(count, ties)

    conflicting = in_conflict(root, sets.strength, limits, unlinked)
    refused = np.zeros(len(ties), dtype=bool)
    conflicts = Conflicts(ties.where(refused), np.empty(0, dtype=np.int16))
    if conflicting.any():
        nodes = np.flatnonzero(conflicting[root]).astype(np.int32)
        walked = np.flatnonzero(conflicting[root[ties.left]])
        in_order = Ties(ties.left[walked], ties.right[walked], ties.place[walked])
        rule, roots = walk(nodes, in_order, sets.strength, limits, [(int(a), int(b)) for a, b in unlinked])
        root[nodes] = roots
        refused[walked[rule != MADE]] = True
        conflicts = Conflicts(ties.where(refused), rule[rule != MADE])

    anchor = _anchors(sets, root, np.asarray(limits.known, dtype=bool))
    return Solution(
        root=root,
        component=component,
        shared=shared,
        owner=np.where(anchor >= 0, root[anchor], OWN_CONTACT).astype(np.int32),
        merges=merges(sets, ties.where(~refused), root, anchor),
        conflicts=conflicts,
    )


def _ties(sets: Sets) -> Ties:
    """The strongest member of each set with each of the others."""
    others = np.ones(len(sets.node), dtype=bool)
    others[sets.first] = False
    strongest = sets.node[sets.first]
    place = sets.place[others]
    return Ties(strongest[place], sets.node[others], place)


def _components(count: int, ties: Ties) -> Codes:
    """For each node the oldest node that ties connect it with."""
    everyone = np.arange(count, dtype=np.int32)
    if not len(ties):
        return everyone
    graph = coo_array((np.ones(len(ties), dtype=bool), (ties.left, ties.right)), shape=(count, count))
    number, labels = connected_components(graph, directed=False)
    oldest = np.empty(number, dtype=np.int32)
    oldest[labels[::-1]] = everyone[::-1]  # of several assignments the last one stays
    roots: Codes = oldest[labels]
    return roots


def _shared(sets: Sets, above: int) -> Flags:
    """Nodes seen with more than `above` different identifiers of one stronger type."""
    count, first = len(sets.strength), sets.first.astype(np.int32)
    before = np.arange(len(sets.node), dtype=np.int32)
    before -= first[sets.place]
    # Nobody is seen with more of them than have stood before it, counted as often as they did.
    company = np.zeros(count, dtype=np.int32)
    np.add.at(company, sets.node, before)
    shared = np.zeros(count, dtype=bool)
    members = np.flatnonzero((company > above)[sets.node] & (before > 0))
    if not len(members):
        return shared
    lengths = before[members].astype(np.int64)
    others = np.repeat(first[sets.place[members]], lengths) + _counted(lengths)
    node, stronger = np.repeat(sets.node[members], lengths), sets.node[others]
    kept = sets.strength[stronger] < sets.strength[node]
    pairs = np.unique(node[kept].astype(np.int64) * count + stronger[kept])
    node, stronger = pairs // count, pairs % count
    types = int(sets.strength.max()) + 1
    kinds, seen = np.unique(node * types + sets.strength[stronger], return_counts=True)
    shared[kinds[seen > above] // types] = True
    return shared


def _counted(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... up to each length, one after the other."""
    ends = np.cumsum(lengths)
    counted: NDArray[np.int64] = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    return counted


def _anchors(sets: Sets, root: Codes, known: Flags) -> Codes:
    """Of each set the member that holds its events: the strongest known one; without one, any if all of them are on one
    contact; else none.
    """
    if not len(sets.node):
        return sets.node
    first = sets.first
    positions = np.arange(len(sets.node), dtype=np.int32)
    # Members are sorted strongest first, so the first known one is the strongest known one.
    positions[~known[sets.strength[sets.node]]] = NEVER
    first_known = np.minimum.reduceat(positions, first)
    is_known = first_known < np.append(first[1:], len(positions))
    del positions
    roots = root[sets.node]
    alike = np.minimum.reduceat(roots, first) == np.maximum.reduceat(roots, first)
    strongest = np.where(alike, sets.node[first], OWN_CONTACT)
    return np.where(is_known, sets.node[np.where(is_known, first_known, 0)], strongest).astype(np.int32)
