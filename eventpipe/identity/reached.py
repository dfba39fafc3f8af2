"""What the identity step of a run solves: the sets that the run touched and those that they reach, as rows and as codes.

    affected   set, workspace_id, identifiers, first_occurred_at (null: no live event carries the set)
    members    set, workspace_id, strength, identifier_value, first_occurred_at: their identifiers that may link
    nodes      workspace_id, strength, identifier_value, first_seen_at: those of live events
    touched_components   component: of the identifiers that were touched
    reached    workspace_id, identifiers, first_occurred_at: the sets that were not touched but lie there

All are temporary. `affected` and `members` are views: a rebuild reads the touched sets twice, and copies none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from eventpipe.identity.blocked import blocked_sql
from eventpipe.identity.codes import Codes, Sets, begins
from eventpipe.identity.limits import Pairs
from eventpipe.identity.rules import Rules
from eventpipe.sql import literal, literals

_TEMPORARY = (
    ("view", "members"),
    ("view", "affected"),
    ("table", "touched_components"),
    ("table", "reached"),
    ("table", "nodes"),
)


@dataclass(frozen=True)
class Numbered:
    """The sets as codes; `row_of_set` and `row_of_node` lead from a place or a node back to its row in `affected` and
    `nodes`."""

    sets: Sets
    row_of_set: Codes
    row_of_node: Codes
    unlinked: Pairs
    shared: Codes


def reach(connection: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """Makes them, from what `work.touched_sets` touches."""
    exploded = """
        select * exclude (member), member[1] as identifier_type, member[2] as identifier_value
        from (select *, unnest(from_json(identifiers, '[["VARCHAR"]]')) as member from {})"""
    connection.execute(f"""
        create or replace temp table touched_components as
        select distinct component from work.identity_nodes
        semi join ({exploded.format("work.touched_sets")}) using (workspace_id, identifier_type, identifier_value)""")
    connection.execute("""
        create or replace temp table reached as
        with reachable as (
            from work.identity_sets semi join touched_components using (component)
            union all
            from work.identity_sets where component is null
        )
        select workspace_id, identifiers, first_occurred_at
        from reachable anti join work.touched_sets using (workspace_id, identifiers)""")
    connection.execute("""
        create or replace temp view affected as
        select rowid::integer as "set", workspace_id, identifiers, first_occurred_at from work.touched_sets
        union all
        select (rowid + (select count(*) from work.touched_sets))::integer as "set", workspace_id, identifiers,
            first_occurred_at
        from reached""")
    ranked = " ".join(f"when {literal(each.name)} then {place}" for place, each in enumerate(rules.types))
    connection.execute(f"""
        create or replace temp view members as
        select "set", workspace_id, case identifier_type {ranked} end::tinyint as strength, identifier_value,
            first_occurred_at
        from ({exploded.format("affected")})
        where strength is not null and not {blocked_sql("identifier_value", rules.blocked)}""")
    connection.execute("""
        create or replace temp table nodes as
        select workspace_id, strength, identifier_value, min(first_occurred_at) as first_seen_at
        from members
        where first_occurred_at is not null
        group by workspace_id, strength, identifier_value""")


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Drops them."""
    for kind, name in _TEMPORARY:
        connection.execute(f"drop {kind} {name}")


def type_names(rules: Rules) -> str:
    """The types' names as a SQL list, strongest first."""
    return f"[{literals(each.name for each in rules.types)}]"


def numbered(connection: duckdb.DuckDBPyConnection, rules: Rules) -> Numbered:
    """The sets of live events as codes."""
    row_of_node, strength = _columns(
        connection,
        "select rowid::integer as node, strength from nodes"
        " order by first_seen_at, strength, identifier_value, workspace_id",
    )
    (row_of_set,) = _columns(
        connection,
        'select "set" from affected where first_occurred_at is not null'
        " order by first_occurred_at, identifiers, workspace_id",
    )
    place, node = _columns(
        connection,
        """
        select m."set" as place, n.rowid::integer as node
        from members as m join nodes as n using (workspace_id, strength, identifier_value)
        where m.first_occurred_at is not null""",
    )
    # Strongest first, then oldest, so that a set's members in the order of their keys are in the order of their ties.
    by_strength = np.argsort(strength, kind="stable").astype(np.int32)
    keys = _inverse(row_of_set)[place].astype(np.int64)
    del place
    keys <<= 32
    keys |= _inverse(by_strength)[_inverse(row_of_node)[node]]
    del node
    keys.sort()
    if not (different := begins(keys)).all():
        keys = keys[different]
    place, node = (keys >> 32).astype(np.int32), by_strength[keys.astype(np.int32)]
    del keys
    # Sets all of whose identifiers are blocked are none.
    first = begins(place)
    row_of_set = row_of_set[place[first]]
    place = np.cumsum(first, dtype=np.int32)
    place -= np.int32(1)
    one, other = _columns(connection, _unlinked_sql(rules))
    unlinked = np.stack([_inverse(row_of_node)[one], _inverse(row_of_node)[other]], axis=1)
    (shared,) = _columns(connection, _shared_sql(rules))
    return Numbered(Sets(place, node, strength), row_of_set, row_of_node, unlinked, _inverse(row_of_node)[shared])


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> list[NDArray[Any]]:
    """A query's columns, which hold numbers and no nulls."""
    return [np.asarray(values) for values in connection.execute(query).fetchnumpy().values()]


def _inverse(rows: Codes) -> Codes:
    """From rows back to their positions."""
    positions = np.zeros(int(rows.max()) + 1 if len(rows) else 0, dtype=np.int32)
    positions[rows] = np.arange(len(rows), dtype=np.int32)
    return positions


def _shared_sql(rules: Rules) -> str:
    """Rows of `nodes` that link nobody whatever they are seen with, in every workspace."""
    strengths = {each.name: place for place, each in enumerate(rules.types)}
    values = ", ".join(f"({strengths[kind]}, {literal(value)})" for kind, value in rules.shared)
    return f"""
        select nodes.rowid::integer as node
        from nodes join (from (values {values or "(null, null)"}) as given (strength, identifier_value))
            using (strength, identifier_value)"""


def _unlinked_sql(rules: Rules) -> str:
    """Pairs of rows of `nodes`: in each workspace, everything that one side may mean with everything of the other."""
    strengths = {each.name: place for place, each in enumerate(rules.types)}
    sides = [
        f"({number}, {side}, {strengths[kind]}, {literal(value)})"
        for number, pair in enumerate(rules.unlinked)
        for side, meant in enumerate(pair)
        for kind, value in meant
    ]
    return f"""
        with sides (pair, side, strength, identifier_value) as (
            from (values {", ".join(sides) or "(null, null, null, null)"})
        ),
        found as (
            select nodes.rowid::integer as node, workspace_id, pair, side
            from nodes join sides using (strength, identifier_value)
        )
        select one.node as one, other.node as other
        from found as one join found as other using (workspace_id, pair)
        where one.side = 0 and other.side = 1 and one.node <> other.node"""
