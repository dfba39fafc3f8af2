"""Which ties are refused: by a type's limit, or because somebody unlinked what they would join.

A contact only ever grows, so what was refused once is refused for good: components within every limit that hold no
unlinked pair cannot have had a refusal, and their ties need not be walked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eventpipe.identity.codes import Codes, Flags, Limits, Ties

MADE: Final = -1
UNLINKED: Final = -2
"""Rules that decided a tie, next to the strength of the type whose limit it would have broken."""

Pairs = NDArray[np.int32]
"""Two columns of nodes that must never be one contact's."""


def in_conflict(root: Codes, strength: NDArray[np.int8], limits: Limits, unlinked: Pairs) -> Flags:
    """Per node whether it is the root of a component that not all ties can have been made in."""
    found = np.zeros(len(root), dtype=bool)
    for kind, most in enumerate(limits.most):
        found |= np.bincount(root[strength == kind], minlength=len(root)) > most
    together = root[unlinked[:, 0]] == root[unlinked[:, 1]]
    found[root[unlinked[together, 0]]] = True
    return found


def walk(
    nodes: Codes, ties: Ties, strength: NDArray[np.int8], limits: Limits, unlinked: Iterable[tuple[int, int]]
) -> tuple[NDArray[np.int16], list[int]]:
    """What became of each of the ties between these nodes, in order, and each node's root: its contact's oldest node."""
    types = range(len(limits.most))
    parent = {node: node for node in nodes.tolist()}
    holds = {node: [int(strength[node] == kind) for kind in types] for node in parent}
    apart: dict[int, set[int]] = {}
    for one, other in unlinked:
        apart.setdefault(one, set()).add(other)
        apart.setdefault(other, set()).add(one)
    # Of each contact, by its root: those of its identifiers that were unlinked from some other one.
    parted = {node: {node} for node in apart if node in parent}

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def judged(one: int, other: int, together: list[int]) -> int:
        if one in parted and other in parted and any(apart[each] & parted[other] for each in parted[one]):
            return UNLINKED
        return next((kind for kind in types if together[kind] > limits.most[kind]), MADE)

    rules: list[int] = []
    for left, right in zip(ties.left.tolist(), ties.right.tolist(), strict=True):
        one, other = find(left), find(right)
        if one == other:
            rules.append(MADE)
            continue
        together = [ours + theirs for ours, theirs in zip(holds[one], holds[other], strict=True)]
        rule = judged(one, other, together)
        rules.append(rule)
        if rule == MADE:
            older, younger = min(one, other), max(one, other)
            parent[younger] = older
            holds[older] = together
            if younger in parted:
                parted[older] = parted.pop(younger) | parted.get(older, set())
    return np.array(rules, dtype=np.int16), [find(node) for node in parent]
