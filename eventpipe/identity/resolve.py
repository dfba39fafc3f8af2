"""The identity step of a run: read the sets that it touches, solve what they reach, write who is who.

    work.touched_sets      in    workspace_id, identifiers, first_occurred_at (null: no live event carries the set)
    work.identity_sets     both  workspace_id, identifiers, first_occurred_at, component, alias_id, contact_id
    work.identity_nodes    both  workspace_id, identifier_type, identifier_value, first_seen_at, component, alias_id,
                                 contact_id
    run.solved_before      out   workspace_id, alias_id, identifier_type, identifier_value: what was solved anew, as it was
    run.solved_components  out   component: what it was solved to
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

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eventpipe.identity.blocked import blocked_sql
from eventpipe.identity.codes import Codes, Flags, Limits, Sets
from eventpipe.identity.ids import id_of_identifier, id_of_set
from eventpipe.identity.limits import UNLINKED, Pairs
from eventpipe.identity.rules import Rules
from eventpipe.identity.solve import OWN_CONTACT, Solution, solve
from eventpipe.sql import literal, literals

_TEMPORARY = ("touched_components", "affected", "members", "nodes", "new_nodes", "new_sets", "moved_nodes")


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
    """The sets as codes; `row_of_set` and `row_of_node` lead from a place or a node back to its row."""

    sets: Sets
    row_of_set: Codes
    row_of_node: Codes
    unlinked: Pairs


def resolve(connection: duckdb.DuckDBPyConnection, rules: Rules) -> Resolved:
    """Solve what `work.touched_sets` reaches and bring the identity tables up to date."""
    _prepare(connection)
    _affected(connection, rules)
    numbered = _numbered(connection, rules)
    limits = Limits(
        known=[each.known for each in rules.types],
        most=[each.limit for each in rules.types],
        shared_above=rules.shared_above,
    )
    solution = solve(numbered.sets, limits, numbered.unlinked)
    _solved(connection, numbered, solution, rules)
    _tell(connection, numbered, solution, rules)
    _write(connection)
    for table in _TEMPORARY:
        connection.execute(f"drop table {table}")
    moved = connection.execute("select count(*) from run.moved_sets").fetchone()
    assert moved is not None
    return Resolved(
        sets=len(solution.owner),
        identifiers=len(solution.root),
        merges=len(solution.merges.place),
        conflicts=len(solution.conflicts.rule),
        moved_sets=int(moved[0]),
    )


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        create table if not exists work.identity_sets (
            workspace_id varchar, identifiers varchar, first_occurred_at timestamptz, component ubigint,
            alias_id varchar, contact_id varchar
        );
        create table if not exists work.identity_nodes (
            workspace_id varchar, identifier_type varchar, identifier_value varchar, first_seen_at timestamptz,
            component ubigint, alias_id varchar, contact_id varchar
        )""")


def _affected(connection: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """The temporary tables `affected` (sets to judge), `members` (their linking identifiers) and `nodes` (those)."""
    exploded = """
        select workspace_id, place, member[1] as identifier_type, member[2] as identifier_value, first_occurred_at
        from (
            select workspace_id, rowid as place, first_occurred_at,
                unnest(from_json(identifiers, '[["VARCHAR"]]')) as member
            from {}
        )"""
    connection.execute(f"""
        create or replace temp table touched_components as
        select distinct component from work.identity_nodes
        semi join ({exploded.format("work.touched_sets")}) using (workspace_id, identifier_type, identifier_value)""")
    connection.execute("""
        create or replace temp table affected as
        select workspace_id, identifiers, first_occurred_at from work.touched_sets
        union all
        select workspace_id, identifiers, first_occurred_at
        from work.identity_sets anti join work.touched_sets using (workspace_id, identifiers)
        where component in (select component from touched_components) or first_occurred_at is null""")
    ranked = " ".join(f"when {literal(each.name)} then {place}" for place, each in enumerate(rules.types))
    connection.execute(f"""
        create or replace temp table members as
        select place as "set", workspace_id, case identifier_type {ranked} end::tinyint as strength, identifier_value,
            first_occurred_at
        from ({exploded.format("affected")})
        where strength is not null and not {blocked_sql("identifier_value", rules.blocked)}""")
    connection.execute(f"""
        create or replace temp table nodes as
        select workspace_id, strength, {_names(rules)}[strength + 1] as identifier_type, identifier_value,
            min(first_occurred_at) as first_seen_at
        from members
        where first_occurred_at is not null
        group by workspace_id, strength, identifier_value""")


def _names(rules: Rules) -> str:
    """The types' names as a SQL list, strongest first."""
    return f"[{literals(each.name for each in rules.types)}]"


def _numbered(connection: duckdb.DuckDBPyConnection, rules: Rules) -> _Numbered:
    """The sets of live events as codes."""

    def column(query: str) -> Codes:
        found = connection.execute(query).fetchnumpy()
        (values,) = found.values()
        return np.asarray(values, dtype=np.int32)

    row_of_node = column("select rowid from nodes order by first_seen_at, strength, identifier_value, workspace_id")
    row_of_set = column(
        "select rowid from affected where first_occurred_at is not null"
        " order by first_occurred_at, identifiers, workspace_id"
    )
    found = connection.execute("""
        select m."set"::integer as place, n.rowid::integer as node
        from members as m join nodes as n using (workspace_id, strength, identifier_value)
        where m.first_occurred_at is not null""").fetchnumpy()
    place, node = _inverse(row_of_set)[found["place"]], _inverse(row_of_node)[found["node"]]
    del found
    strength = np.empty(len(row_of_node), dtype=np.int8)
    stored = connection.execute("select rowid::integer as node, strength from nodes").fetchnumpy()
    strength[_inverse(row_of_node)[stored["node"]]] = stored["strength"]

    # Sets all of whose identifiers are blocked are none.
    taken = np.zeros(len(row_of_set), dtype=bool)
    taken[place] = True
    place = (np.cumsum(taken, dtype=np.int32) - 1)[place]
    place, node = _in_order(place, node, strength)
    pairs = connection.execute(_unlinked_sql(rules)).fetchnumpy()
    unlinked = np.stack([_inverse(row_of_node)[pairs["one"]], _inverse(row_of_node)[pairs["other"]]], axis=1)
    return _Numbered(Sets(place, node, strength), row_of_set[taken], row_of_node, unlinked)


def _inverse(rows: Codes) -> Codes:
    """From rows back to their positions."""
    positions = np.zeros(int(rows.max()) + 1 if len(rows) else 0, dtype=np.int32)
    positions[rows] = np.arange(len(rows), dtype=np.int32)
    return positions


def _in_order(place: Codes, node: Codes, strength: NDArray[np.int8]) -> tuple[Codes, Codes]:
    """Members by place, in a set strongest first, then oldest; each once."""
    by_strength = np.argsort(strength, kind="stable").astype(np.int32)
    keys = place.astype(np.int64) << 32
    keys |= _inverse(by_strength)[node]
    keys.sort()
    keys = keys[np.diff(keys, prepend=-1) > 0]
    return (keys >> 32).astype(np.int32), by_strength[keys & 0xFFFFFFFF]


def _unlinked_sql(rules: Rules) -> str:
    """Pairs of rows of `nodes`: in each workspace, everything that one side may mean with everything of the other."""
    sides = [
        f"({number}, {side}, {literal(kind)}, {literal(value)})"
        for number, pair in enumerate(rules.unlinked)
        for side, meant in enumerate(pair)
        for kind, value in meant
    ]
    return f"""
        with sides (pair, side, identifier_type, identifier_value) as (
            from (values {", ".join(sides) or "(null, null, null, null)"})
        ),
        found as (select nodes.rowid as node, * from nodes join sides using (identifier_type, identifier_value))
        select one.node::integer as one, other.node::integer as other
        from found as one join found as other using (workspace_id, pair)
        where one.side = 0 and other.side = 1 and one.node <> other.node"""


def _solved(connection: duckdb.DuckDBPyConnection, numbered: _Numbered, solution: Solution, rules: Rules) -> None:
    """The temporary tables `new_nodes` and `new_sets`: what the identity tables will hold of what was solved."""
    row = numbered.row_of_node
    first = numbered.sets.first
    connection.register(
        "solved_nodes", pa.table({"node": row, "root": row[solution.root], "component": row[solution.component]})
    )
    connection.execute(f"""
        create or replace temp table new_nodes as
        with ids as (select rowid as node, {id_of_identifier()} as alias_id from nodes)
        select nodes.workspace_id, nodes.identifier_type, nodes.identifier_value, nodes.first_seen_at,
            md5_number_lower(reached.alias_id) as component, own.alias_id, held.alias_id as contact_id, own.node
        from solved_nodes as s join nodes on s.node = nodes.rowid join ids as own on s.node = own.node
        join ids as held on s.root = held.node join ids as reached on s.component = reached.node""")
    connection.unregister("solved_nodes")
    owned = solution.owner != OWN_CONTACT
    connection.register(
        "solved_sets",
        pa.table(
            {
                "set": numbered.row_of_set,
                "owner": pa.array(row[np.where(owned, solution.owner, 0)], mask=~owned),
                "member": row[numbered.sets.node[first]],
                "may_stand_alone": _several_unknown(numbered.sets, rules),
            }
        ),
    )
    connection.execute(f"""
        create or replace temp table new_sets as
        with ids as (select rowid as "set", *, {id_of_set()} as id from affected)
        select a.workspace_id, a.identifiers, a.first_occurred_at, member.component,
            case when s.may_stand_alone then a.id end as alias_id, coalesce(owner.contact_id, a.id) as contact_id
        from solved_sets as s join ids as a using ("set")
        join new_nodes as member on s.member = member.node left join new_nodes as owner on s.owner = owner.node""")
    connection.unregister("solved_sets")
    _silent(connection, rules)


def _several_unknown(sets: Sets, rules: Rules) -> Flags:
    """Sets that may have a contact of their own: of several identifiers, none of which is known."""
    if not len(sets.node):
        return np.empty(0, dtype=bool)
    known = np.array([each.known for each in rules.types])[sets.strength[sets.node]]
    several = np.diff(np.append(sets.first, len(sets.node))) > 1
    found: Flags = several & ~np.logical_or.reduceat(known, sets.first)
    return found


def _silent(connection: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """Sets of deleted events only: shown with the contact of their strongest identifier that somebody holds."""
    connection.execute(f"""
        insert into new_sets by name
        with silent as (select rowid as "set", * from affected where first_occurred_at is null),
        held as (
            select * exclude (node) from new_nodes
            union all by name
            select * from work.identity_nodes where component not in (select component from touched_components)
        ),
        found as (
            select m."set", arg_min(held.contact_id, (m.strength, held.first_seen_at, m.identifier_value)) as contact_id
            from members as m join silent on m."set" = silent."set"
            join held on m.workspace_id = held.workspace_id
                and {_names(rules)}[m.strength + 1] = held.identifier_type
                and m.identifier_value = held.identifier_value
            group by m."set"
        )
        select workspace_id, identifiers, null::timestamptz as first_occurred_at, null::ubigint as component,
            null::varchar as alias_id, contact_id
        from silent left join found using ("set")""")


def _tell(connection: duckdb.DuckDBPyConnection, numbered: _Numbered, solution: Solution, rules: Rules) -> None:
    """run.merges and run.conflicts, and what they and the aliases stand in for."""
    row, row_of_set = numbered.row_of_node, numbered.row_of_set
    merges, conflicts = solution.merges, solution.conflicts
    names = {UNLINKED: "unlink"} | {place: f"limit:{each.name}" for place, each in enumerate(rules.types)}
    connection.register(
        "merges",
        pa.table({"set": row_of_set[merges.place], "ended": row[merges.ended], "stayed": row[merges.stayed]}),
    )
    connection.register(
        "conflicts",
        pa.table(
            {
                "set": row_of_set[conflicts.ties.place],
                "left": row[conflicts.ties.left],
                "right": row[conflicts.ties.right],
                "rule": pa.array([names[each] for each in conflicts.rule.tolist()], pa.string()),
            }
        ),
    )
    connection.execute("""
        create or replace table run.merges as
        select a.workspace_id, a.identifiers, ended.alias_id as from_contact_id, stayed.alias_id as into_contact_id,
            ended.contact_id, a.first_occurred_at as effective_at
        from merges as m join affected as a on m."set" = a.rowid
        join new_nodes as ended on m.ended = ended.node join new_nodes as stayed on m.stayed = stayed.node""")
    connection.execute("""
        create or replace table run.conflicts as
        select a.workspace_id, a.identifiers, l.identifier_type as left_type, l.identifier_value as left_value,
            l.contact_id as left_contact_id, r.identifier_type as right_type, r.identifier_value as right_value,
            r.contact_id as right_contact_id, c.rule, a.first_occurred_at as occurred_at
        from conflicts as c join affected as a on c."set" = a.rowid
        join new_nodes as l on c."left" = l.node join new_nodes as r on c."right" = r.node""")
    connection.unregister("merges")
    connection.unregister("conflicts")
    connection.execute("""
        create or replace table run.solved_before as
        select workspace_id, alias_id, identifier_type, identifier_value
        from work.identity_nodes where component in (select component from touched_components)
        union all
        select workspace_id, alias_id, null as identifier_type, null as identifier_value
        from work.identity_sets
        where component in (select component from touched_components) and alias_id is not null""")
    connection.execute("create or replace table run.solved_components as select distinct component from new_nodes")


def _write(connection: duckdb.DuckDBPyConnection) -> None:
    """The identity tables, and who moved."""
    connection.execute("""
        create or replace temp table moved_nodes as
        select workspace_id, old.contact_id as old_contact_id, new.contact_id as new_contact_id
        from work.identity_nodes as old join new_nodes as new using (workspace_id, identifier_type, identifier_value)
        where old.contact_id <> new.contact_id""")
    connection.execute("""
        create or replace table run.moved_sets as
        select old.workspace_id, old.identifiers, old.contact_id as old_contact_id, new.contact_id as new_contact_id
        from work.identity_sets as old join new_sets as new using (workspace_id, identifiers)
        where old.contact_id is distinct from new.contact_id""")
    connection.execute("""
        create or replace table run.moved_contacts as
        select distinct workspace_id, unnest([old_contact_id, new_contact_id]) as contact_id
        from (
            select workspace_id, old_contact_id, new_contact_id from run.moved_sets
            union all select workspace_id, old_contact_id, new_contact_id from moved_nodes
        )""")
    connection.execute("delete from work.identity_nodes where component in (select component from touched_components)")
    connection.execute("insert into work.identity_nodes by name select * exclude (node) from new_nodes")
    connection.execute("""
        delete from work.identity_sets
        where component in (select component from touched_components) or component is null""")
    connection.execute("insert into work.identity_sets by name from new_sets")
