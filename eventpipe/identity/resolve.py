"""The identity step of a run: read the sets that it touches, solve what they reach, write who is who.

    work.touched_sets      in    workspace_id, identifiers, first_occurred_at (null: no live event carries the set)
    work.identity_sets     both  workspace_id, identifiers, first_occurred_at, component, alias_id, contact_id
    work.identity_nodes    both  workspace_id, identifier_type, identifier_value, first_seen_at, component, alias_id,
                                 contact_id
    run.solved_before      out   workspace_id, alias_id, identifier_type, identifier_value: what was solved anew, as it was
    run.solved_components  out   component: what it was solved to
    run.gone_aliases       out   workspace_id, alias_id: of those before, the ones whose row is another one now, or none
    run.merges, run.conflicts  out  those of the solved components, each with the set whose tie it was (`_tell`)
    run.moved_sets         out   workspace_id, identifiers, old_contact_id, new_contact_id
    run.moved_contacts     out   workspace_id, contact_id: who gained or lost a set or an identifier

`alias_id` is the contact id that an identifier gives, or a set of several identifiers none of which is known.

`component` names everything that ties reach before limits: whatever a new or changed set touches lies in the components
of its members, so solving those anew gives what solving everything would (spec 2, "Cost"). Sets of deleted events are
silent: they tie nothing and have no component, but their history still shows on somebody's timeline. They are few, and
every run looks up anew who holds their identifiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from eventpipe.identity.blocked import blocked_sql
from eventpipe.identity.codes import Codes, Flags, Limits, Sets, begins
from eventpipe.identity.ids import id_of_identifier, id_of_set
from eventpipe.identity.limits import UNLINKED, Pairs
from eventpipe.identity.rules import Rules
from eventpipe.identity.solve import OWN_CONTACT, solve
from eventpipe.project.quantities import byte_count
from eventpipe.sql import literal, literals

# As in the table events: trying every method on text that hardly repeats costs more than writing it.
_TEXT = "varchar using compression fsst"
_IDS = {"component": "ubigint", "alias_id": _TEXT, "contact_id": _TEXT}
_COLUMNS = {
    "identity_sets": {"workspace_id": "varchar", "identifiers": _TEXT, "first_occurred_at": "timestamptz", **_IDS},
    "identity_nodes": {
        "workspace_id": "varchar",
        "identifier_type": "varchar",
        "identifier_value": _TEXT,
        "first_seen_at": "timestamptz",
        **_IDS,
    },
}
_TEMPORARY = ("touched_components", "reached", "nodes", "ids", "old_nodes", "old_sets")


@dataclass(frozen=True)
class Resolved:
    """Figures of the step: sets and identifiers solved, merges and refused ties among them, and sets whose contact
    changed."""

    sets: int
    identifiers: int
    merges: int
    conflicts: int
    moved_sets: int


@dataclass(frozen=True)
class _Numbered:
    """The sets as codes; `row_of_set` and `row_of_node` lead from a place or a node back to its row in `affected` and
    `nodes`."""

    sets: Sets
    row_of_set: Codes
    row_of_node: Codes
    unlinked: Pairs


_Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Answers:
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


def resolve(connection: duckdb.DuckDBPyConnection, rules: Rules, memory: str) -> Resolved:
    """Solve what `work.touched_sets` reaches and bring the identity tables up to date. `memory` is the engine's limit,
    of which it leaves half to this step's arrays.
    """
    with _half_of(connection, memory):
        return _resolve(connection, rules)


@contextmanager
def _half_of(connection: duckdb.DuckDBPyConnection, memory: str) -> Iterator[None]:
    connection.execute(f"set memory_limit = '{byte_count(memory) // 2}B'")
    try:
        yield
    finally:
        connection.execute(f"set memory_limit = {literal(memory)}")


def _resolve(connection: duckdb.DuckDBPyConnection, rules: Rules) -> Resolved:
    _prepare(connection)
    _affected(connection, rules)
    answers = _answers(connection, rules)
    _set_aside(connection)
    _write_nodes(connection, answers, rules)
    _write_sets(connection, answers, rules)
    _tell(connection, answers, rules)
    _moved(connection)
    for view in ("new_sets", "new_nodes", "members", "affected"):
        connection.execute(f"drop view {view}")
    for table in _TEMPORARY:
        connection.execute(f"drop table {table}")
    moved = connection.execute("select count(*) from run.moved_sets").fetchone()
    assert moved is not None
    return Resolved(
        sets=len(answers.sets["set"]),
        identifiers=len(answers.nodes["node"]),
        merges=len(answers.merged["set"]),
        conflicts=len(answers.refused["set"]),
        moved_sets=int(moved[0]),
    )


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    for table, columns in _COLUMNS.items():
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"create table if not exists work.{table} ({listed})")


def _affected(connection: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """`affected` (sets to judge), `members` (their linking identifiers), and the temporary table `nodes` (those of live
    events). The first two are views: a rebuild reads the touched sets twice, and copies none of them.
    """
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


def _names(rules: Rules) -> str:
    """The types' names as a SQL list, strongest first."""
    return f"[{literals(each.name for each in rules.types)}]"


def _answers(connection: duckdb.DuckDBPyConnection, rules: Rules) -> _Answers:
    """Who belongs together. The members of all sets, which are most of what this step holds, end here."""
    numbered = _numbered(connection, rules)
    limits = Limits(
        known=[each.known for each in rules.types],
        most=[each.limit for each in rules.types],
        shared_above=rules.shared_above,
    )
    solution = solve(numbered.sets, limits, numbered.unlinked)
    merges, conflicts = solution.merges, solution.conflicts
    row, row_of_set, sets = numbered.row_of_node, numbered.row_of_set, numbered.sets
    pointed_at = np.zeros(len(row), dtype=bool)
    for nodes in (solution.root, solution.component, merges.ended, merges.stayed):
        pointed_at[nodes] = True
    return _Answers(
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


def _numbered(connection: duckdb.DuckDBPyConnection, rules: Rules) -> _Numbered:
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
    return _Numbered(Sets(place, node, strength), row_of_set, row_of_node, unlinked)


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> list[NDArray[Any]]:
    """A query's columns, which hold numbers and no nulls."""
    return [np.asarray(values) for values in connection.execute(query).fetchnumpy().values()]


def _inverse(rows: Codes) -> Codes:
    """From rows back to their positions."""
    positions = np.zeros(int(rows.max()) + 1 if len(rows) else 0, dtype=np.int32)
    positions[rows] = np.arange(len(rows), dtype=np.int32)
    return positions


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


def _set_aside(connection: duckdb.DuckDBPyConnection) -> None:
    """The temporary tables `old_nodes` and `old_sets`: what is solved anew, as it was."""
    connection.execute("""
        create or replace temp table old_nodes as
        from work.identity_nodes semi join touched_components using (component)""")
    connection.execute("""
        create or replace temp table old_sets as
        from work.identity_sets semi join touched_components using (component)
        union all
        from work.identity_sets where component is null""")
    connection.execute("""
        create or replace table run.solved_before as
        select workspace_id, alias_id, identifier_type, identifier_value from old_nodes
        union all
        select workspace_id, alias_id, null as identifier_type, null as identifier_value
        from old_sets where alias_id is not null""")
    connection.execute("create or replace table run.gone_aliases (workspace_id varchar, alias_id varchar)")


def _replace(connection: duckdb.DuckDBPyConnection, table: str, old: str, new: str, key: str) -> None:
    """Takes rows of `old` out of an identity table and puts those of `new` in: only what differs, for nearly all of what
    is solved anew comes out as it was, and rows deleted all over a table make the engine write all of it again.
    """
    columns = ", ".join(_COLUMNS[table])
    found = connection.execute(f"select count(*) from {old}").fetchone()
    if found == (0,):
        connection.execute(f"insert into work.{table} by name select {columns} from {new}")
        return
    connection.execute(f"create or replace temp table solved as select {columns} from {new}")
    connection.execute(f"""
        create or replace temp table gone as
        select {columns} from {old} except select {columns} from solved""")
    connection.execute(f"""
        delete from work.{table} where (workspace_id, {key}) in (select (workspace_id, {key}) from gone)""")
    connection.execute(f"""
        insert into work.{table} by name
        select {columns} from solved except select {columns} from {old}""")
    connection.execute(
        "insert into run.gone_aliases select workspace_id, alias_id from gone where alias_id is not null"
    )
    connection.execute("drop table solved; drop table gone")


def _write_nodes(connection: duckdb.DuckDBPyConnection, answers: _Answers, rules: Rules) -> None:
    """work.identity_nodes, and the temporary table `ids` of what the solution points at."""
    connection.register("answer", answers.nodes)
    connection.register("pointed_at", answers.pointed_at)
    connection.execute(f"""
        create or replace temp table ids as
        select node, {id_of_identifier(type=f"{_names(rules)}[strength + 1]")} as alias_id,
            md5_number_lower(alias_id) as component
        from nodes join pointed_at on nodes.rowid = pointed_at.node""")
    connection.execute(f"""
        create or replace temp view new_nodes as
        select nodes.workspace_id, {_names(rules)}[nodes.strength + 1] as identifier_type, nodes.identifier_value,
            nodes.first_seen_at, reached.component, {id_of_identifier()} as alias_id, held.alias_id as contact_id
        from nodes join answer on nodes.rowid = answer.node
        join ids as held on answer.root = held.node join ids as reached on answer.component = reached.node""")
    _replace(connection, "identity_nodes", "old_nodes", "new_nodes", "alias_id")
    connection.execute("""
        create or replace table run.solved_components as
        select distinct ids.component from answer join ids on answer.component = ids.node""")
    connection.unregister("answer")
    connection.unregister("pointed_at")


def _write_sets(connection: duckdb.DuckDBPyConnection, answers: _Answers, rules: Rules) -> None:
    """work.identity_sets, silent ones included."""
    connection.register("answer", answers.sets)
    # Sets of deleted events only are shown with the contact of their strongest identifier that somebody holds.
    connection.execute(f"""
        create or replace temp view new_sets as
        with silent as (select * from affected where first_occurred_at is null),
        found as (
            select m."set", arg_min(held.contact_id, (m.strength, held.first_seen_at, m.identifier_value)) as contact_id
            from members as m join work.identity_nodes as held
                on m.workspace_id = held.workspace_id and {_names(rules)}[m.strength + 1] = held.identifier_type
                and m.identifier_value = held.identifier_value
            where m.first_occurred_at is null
            group by m."set"
        )
        select workspace_id, identifiers, first_occurred_at, reached.component,
            case when answer.may_stand_alone then {id_of_set()} end as alias_id,
            coalesce(owner.alias_id, case when answer.owner = {OWN_CONTACT} then {id_of_set()} end) as contact_id
        from affected join answer using ("set")
        join ids as reached on answer.component = reached.node left join ids as owner on answer.owner = owner.node
        union all by name
        select workspace_id, identifiers, null::timestamptz as first_occurred_at, null::ubigint as component,
            null::varchar as alias_id, contact_id
        from silent left join found using ("set")""")
    _replace(connection, "identity_sets", "old_sets", "new_sets", "identifiers")
    connection.unregister("answer")


def _several_unknown(sets: Sets, rules: Rules) -> Flags:
    """Sets that may have a contact of their own: of several identifiers, none of which is known."""
    if not len(sets.node):
        return np.empty(0, dtype=bool)
    known = np.array([each.known for each in rules.types])[sets.strength[sets.node]]
    several = np.diff(np.append(sets.first, len(sets.node))) > 1
    found: Flags = several & ~np.logical_or.reduceat(known, sets.first)
    return found


def _tell(connection: duckdb.DuckDBPyConnection, answers: _Answers, rules: Rules) -> None:
    """run.merges and run.conflicts."""
    connection.register("merged", answers.merged)
    connection.register("refused", answers.refused)
    connection.execute("""
        create or replace table run.merges as
        select a.workspace_id, a.identifiers, ended.alias_id as from_contact_id, stayed.alias_id as into_contact_id,
            held.alias_id as contact_id, a.first_occurred_at as effective_at
        from merged as m join affected as a using ("set")
        join ids as ended on m.ended = ended.node join ids as stayed on m.stayed = stayed.node
        join ids as held on m.root = held.node""")
    connection.execute(f"""
        create or replace table run.conflicts as
        select a.workspace_id, a.identifiers, {_names(rules)}[l.strength + 1] as left_type,
            l.identifier_value as left_value, left_held.alias_id as left_contact_id,
            {_names(rules)}[r.strength + 1] as right_type, r.identifier_value as right_value,
            right_held.alias_id as right_contact_id,
            if(c.rule = {UNLINKED}, 'unlink', 'limit:' || {_names(rules)}[c.rule + 1]) as rule, a.first_occurred_at as occurred_at
        from refused as c join affected as a using ("set")
        join nodes as l on c."left" = l.rowid join nodes as r on c."right" = r.rowid
        join ids as left_held on c.left_root = left_held.node join ids as right_held on c.right_root = right_held.node""")
    connection.unregister("merged")
    connection.unregister("refused")


def _moved(connection: duckdb.DuckDBPyConnection) -> None:
    """run.moved_sets and run.moved_contacts: what was set aside, against what stands there now."""
    connection.execute("""
        create or replace table run.moved_sets as
        with solved_sets as (
            from work.identity_sets semi join run.solved_components using (component)
            union all
            from work.identity_sets where component is null
        )
        select old.workspace_id, old.identifiers, old.contact_id as old_contact_id, new.contact_id as new_contact_id
        from old_sets as old join solved_sets as new using (workspace_id, identifiers)
        where old.contact_id is distinct from new.contact_id""")
    connection.execute("""
        create or replace table run.moved_contacts as
        with solved_nodes as (from work.identity_nodes semi join run.solved_components using (component))
        select distinct workspace_id, unnest([old_contact_id, new_contact_id]) as contact_id
        from (
            select workspace_id, old_contact_id, new_contact_id from run.moved_sets
            union all
            select workspace_id, old.contact_id as old_contact_id, new.contact_id as new_contact_id
            from old_nodes as old join solved_nodes as new using (workspace_id, alias_id)
            where old.contact_id <> new.contact_id
        )""")
