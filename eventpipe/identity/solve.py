"""Who belongs together (spec 2, "Resolution"), on integer codes in columnar arrays.

The rule. Sets are taken in the order of their first `occurred_at`, ties by the sets' own text. Within a set the
strongest identifier is tied to each of the others, strongest first. A tie is made unless the contact that would result held more
identifiers of a type than its limit. A contact is what the ties connect; its root is its earliest-seen identifier.

Where a component of all ties stays within every limit, no tie can have been refused, and order does not matter: plain
connected components decide it. Only components over a limit are walked tie by tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Codes = NDArray[np.int64]
OWN_CONTACT = -1


@dataclass(frozen=True)
class Limits:
    """Per identifier type, strongest first: whether it is known, and how many one contact may hold.

    A value seen with more than `shared_above` identifiers of the strongest type is shared and ties nobody.
    """

    known: Sequence[bool]
    most: Sequence[int]
    shared_above: int


@dataclass(frozen=True)
class Solution:
    """`nodes`: one row per identifier (node, workspace_id, strength, identifier_value, first_seen_at, root, component);
    `sets`: one row per set (set, owner, component).

    Nodes are numbered by age: earliest seen, then strongest, then text. `root` is the oldest node of the contact,
    `component` that of everything reachable before limits. `owner` is the root of the set's contact, OWN_CONTACT where
    unknown identifiers point at different contacts.
    """

    nodes: pl.DataFrame
    sets: pl.DataFrame


def solve(sets: pl.DataFrame, members: pl.DataFrame, limits: Limits) -> Solution:
    """Resolve `sets` (set, workspace_id, identifiers, first_occurred_at) with their `members` (set, strength,
    identifier_value); strength 0 is the strongest type. Every set has at least one member.
    """
    nodes, members = _numbered(sets, members)
    order = sets.sort("first_occurred_at", "identifiers", "workspace_id").select("set", place=pl.int_range(pl.len()))
    members = members.join(order, on="set").sort("place", "strength", "node")
    place = members["place"].to_numpy()
    node = members["node"].to_numpy()
    first_of_set = np.flatnonzero(np.diff(place, prepend=-1))
    counts = np.diff(np.append(first_of_set, len(place)))
    strongest = np.repeat(node[first_of_set], counts)

    strength = nodes["strength"].to_numpy()
    tied = strongest != node
    left, right = strongest[tied], node[tied]
    component = _components(len(nodes), left, right)
    shared = _shared(len(nodes), members, limits.shared_above)
    linking = ~(shared[left] | shared[right])
    left, right = left[linking], right[linking]
    root = _components(len(nodes), left, right)
    _respect_limits(root, left, right, strength, limits)

    known = np.asarray(limits.known, dtype=bool)[strength[node]]
    owner = _owners(root[node], known, first_of_set, counts)
    return Solution(
        nodes=nodes.with_columns(root=pl.Series(root), component=pl.Series(component)),
        sets=pl.DataFrame(
            {
                "set": members["set"].gather(first_of_set),
                "owner": owner,
                "component": component[node[first_of_set]],
            }
        ),
    )


def _numbered(sets: pl.DataFrame, members: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Identifiers numbered by age, and the members with their numbers."""
    identity = ["workspace_id", "strength", "identifier_value"]
    seen = members.join(sets.select("set", "workspace_id", "first_occurred_at"), on="set")
    nodes = (
        seen.group_by(identity)
        .agg(first_seen_at=pl.col("first_occurred_at").min())
        .sort("first_seen_at", "strength", "identifier_value", "workspace_id")
        .with_row_index("node")
        .with_columns(pl.col("node").cast(pl.Int64))
    )
    numbered = seen.join(nodes.select(*identity, "node"), on=identity).select("set", "strength", "node")
    return nodes, numbered


def _components(count: int, left: Codes, right: Codes) -> Codes:
    """For each node the smallest node that ties connect it with."""
    if not len(left):
        return np.arange(count, dtype=np.int64)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, oldest = np.unique(labels, return_index=True)
    roots: Codes = oldest.astype(np.int64)[labels]
    return roots


def _shared(count: int, members: pl.DataFrame, above: int) -> NDArray[np.bool_]:
    """Nodes seen with more than `above` different identifiers of the strongest type."""
    strongest = members.filter(pl.col("strength") == 0).select("set", with_="node")
    crowded = (
        members.filter(pl.col("strength") > 0)
        .join(strongest, on="set")
        .select("node", "with_")
        .unique()
        .group_by("node")
        .len()
        .filter(pl.col("len") > above)
    )
    shared: NDArray[np.bool_] = np.zeros(count, dtype=bool)
    shared[crowded["node"].to_numpy()] = True
    return shared


def _respect_limits(root: Codes, left: Codes, right: Codes, strength: NDArray[np.int64], limits: Limits) -> None:
    """Walk the components that exceed a limit, ties in order, and put each node's root right in place."""
    types = len(limits.most)
    held = pl.DataFrame({"root": root, "strength": strength}).group_by("root", "strength").len()
    most = pl.DataFrame({"strength": np.arange(types), "most": limits.most})
    over = held.join(most, on="strength").filter(pl.col("len") > pl.col("most"))["root"].unique().to_numpy()
    if not len(over):
        return
    walked = np.isin(root, over)
    nodes = np.flatnonzero(walked)
    parent = {int(node): int(node) for node in nodes}
    holds = {int(node): [int(strength[node] == each) for each in range(types)] for node in nodes}

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    tied = walked[left]
    for one, other in zip(left[tied].tolist(), right[tied].tolist(), strict=True):
        a, b = find(one), find(other)
        if a == b:
            continue
        together = [x + y for x, y in zip(holds[a], holds[b], strict=True)]
        if all(count <= limit for count, limit in zip(together, limits.most, strict=True)):
            older, younger = min(a, b), max(a, b)
            parent[younger] = older
            holds[older] = together
    root[nodes] = [find(int(node)) for node in nodes]


def _owners(roots: Codes, known: NDArray[np.bool_], first_of_set: Codes, counts: Codes) -> Codes:
    """Of each set: the root of its strongest known member; without one the only root of its members, else none."""
    position = np.arange(len(roots))
    # Members are sorted strongest first, so the first known one is the strongest known one.
    first_known = np.minimum.reduceat(np.where(known, position, len(roots)), first_of_set)
    has_known = first_known < first_of_set + counts
    alike = np.minimum.reduceat(roots, first_of_set) == np.maximum.reduceat(roots, first_of_set)
    by_known = roots[np.where(has_known, first_known, 0)]
    return np.where(has_known, by_known, np.where(alike, roots[first_of_set], OWN_CONTACT)).astype(np.int64)
