"""The solution of a run's identity step, as the columns that the engine joins its tables with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from eventpipe.identity.codes import Flags, Limits, Sets
from eventpipe.identity.reached import numbered
from eventpipe.identity.rules import Rules
from eventpipe.identity.solve import OWN_CONTACT, solve

_Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Answers:
    """What the engine needs of a solution, each as columns: `set` is a row of `affected`, and whatever is an identifier
    a row of `nodes`.

        nodes       node, root, component
        pointed_at  node: each that another one's row points at
        sets        set, owner, component, may_stand_alone
        merged      set, ended, stayed, root
        refused     set, left, left_root, right, right_root, rule
    """

    nodes: _Columns
    pointed_at: _Columns
    sets: _Columns
    merged: _Columns
    refused: _Columns


def solved(connection: duckdb.DuckDBPyConnection, rules: Rules) -> Answers:
    """Who belongs together. The members of all sets, which are most of what this step holds, end here."""
    codes = numbered(connection, rules)
    limits = Limits(
        known=[each.known for each in rules.types],
        most=[each.limit for each in rules.types],
        shared_above=rules.shared_above,
    )
    solution = solve(codes.sets, limits, codes.unlinked, codes.shared)
    merges, conflicts = solution.merges, solution.conflicts
    row, row_of_set, sets = codes.row_of_node, codes.row_of_set, codes.sets
    pointed_at = np.zeros(len(row), dtype=bool)
    for nodes in (solution.root, solution.component, merges.ended, merges.stayed):
        pointed_at[nodes] = True
    return Answers(
        nodes={"node": row, "root": row[solution.root], "component": row[solution.component]},
        pointed_at={"node": row[pointed_at]},
        sets={
            "set": row_of_set,
            "owner": np.where(solution.owner == OWN_CONTACT, OWN_CONTACT, row[solution.owner]),
            "component": row[solution.component[sets.node[sets.first]]],
            "may_stand_alone": _several_unknown(sets, rules),
        },
        merged={
            "set": row_of_set[merges.place],
            "ended": row[merges.ended],
            "stayed": row[merges.stayed],
            "root": row[solution.root[merges.ended]],
        },
        refused={
            "set": row_of_set[conflicts.ties.place],
            "left": row[conflicts.ties.left],
            "left_root": row[solution.root[conflicts.ties.left]],
            "right": row[conflicts.ties.right],
            "right_root": row[solution.root[conflicts.ties.right]],
            "rule": conflicts.rule,
        },
    )


def _several_unknown(sets: Sets, rules: Rules) -> Flags:
    """Sets that may have a contact of their own: of several identifiers, none of which is known."""
    if not len(sets.node):
        return np.empty(0, dtype=bool)
    known = np.array([each.known for each in rules.types])[sets.strength[sets.node]]
    several = np.diff(np.append(sets.first, len(sets.node))) > 1
    found: Flags = several & ~np.logical_or.reduceat(known, sets.first)
    return found
