"""The identity step of a run: read the sets that it touches, solve what they reach, write who is who.

    work.touched_sets     in    workspace_id, identifiers, first_occurred_at (null: no live event carries the set)
    work.identity_sets    both  workspace_id, identifiers, first_occurred_at, component, contact_id
    work.identity_nodes   both  workspace_id, identifier_type, identifier_value, first_seen_at, component, contact_id
    run.moved_sets        out   workspace_id, identifiers, old_contact_id, new_contact_id
    run.moved_contacts    out   workspace_id, contact_id: who gained or lost a set or an identifier

`component` names everything that ties reach before limits: whatever a new or changed set touches lies in the components
of its members, so solving those anew gives what solving everything would (spec 2, "Cost"). Sets of deleted events are
silent: they tie nothing and have no component, but their history still shows on somebody's timeline. They are few, and
every run looks up anew who holds their identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from eventpipe.identity.blocked import blocked_sql
from eventpipe.identity.solve import OWN_CONTACT, Limits, Solution, solve
from eventpipe.project.identifiers import IdentitySettings
from eventpipe.sql import literal


@dataclass(frozen=True)
class Resolved:
    """Figures of the step: sets and identifiers solved, and sets whose contact changed."""

    sets: int
    identifiers: int
    moved_sets: int


def resolve(connection: duckdb.DuckDBPyConnection, settings: IdentitySettings) -> Resolved:
    """Solve what `work.touched_sets` reaches and bring the identity tables up to date."""
    _prepare(connection)
    names = list(settings.names)
    _affected(connection, names, settings.blocked)
    sets = connection.execute(
        'select "set", workspace_id, identifiers, first_occurred_at from affected where first_occurred_at is not null'
    ).pl()
    members = connection.execute(
        'select m."set", m.strength, m.identifier_value from members as m'
        ' join affected as a on m."set" = a."set" where a.first_occurred_at is not null'
    ).pl()
    limits = Limits(
        known=[each.known for each in settings.types],
        most=[each.limit for each in settings.types],
        shared_above=settings.shared_above,
    )
    sets = sets.join(members.select("set").unique(), on="set", how="semi")
    solution = solve(sets, members, limits)
    _write(connection, solution, names)
    moved = connection.execute("select count(*) from run.moved_sets").fetchone()
    assert moved is not None
    return Resolved(len(solution.sets), len(solution.nodes), int(moved[0]))


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        create table if not exists work.identity_sets (
            workspace_id varchar, identifiers varchar, first_occurred_at timestamptz, component varchar,
            contact_id varchar
        );
        create table if not exists work.identity_nodes (
            workspace_id varchar, identifier_type varchar, identifier_value varchar, first_seen_at timestamptz,
            component varchar, contact_id varchar
        )""")


def _affected(connection: duckdb.DuckDBPyConnection, names: list[str], blocked: tuple[str, ...]) -> None:
    """The temporary tables `affected` (sets to judge) and `members` (their linking identifiers)."""
    exploded = """
        select workspace_id, identifiers, member[1] as identifier_type, member[2] as identifier_value
        from (select workspace_id, identifiers, unnest(from_json(identifiers, '[["VARCHAR"]]')) as member from {})"""
    connection.execute(f"""
        create or replace temp table touched_components as
        select distinct component from work.identity_nodes
        semi join ({exploded.format("work.touched_sets")}) using (workspace_id, identifier_type, identifier_value)""")
    connection.execute("""
        create or replace temp table affected as
        select row_number() over () as "set", * from (
            select workspace_id, identifiers, first_occurred_at from work.touched_sets
            union all
            select workspace_id, identifiers, first_occurred_at
            from work.identity_sets anti join work.touched_sets using (workspace_id, identifiers)
            where component in (select component from touched_components) or first_occurred_at is null
        )""")
    ranked = " ".join(f"when {literal(name)} then {place}" for place, name in enumerate(names))
    connection.execute(f"""
        create or replace temp table members as
        select distinct affected."set", case e.identifier_type {ranked} end as strength, e.identifier_value
        from ({exploded.format("affected")}) as e join affected using (workspace_id, identifiers)
        where strength is not null and not {blocked_sql("e.identifier_value", blocked)}""")


def _write(connection: duckdb.DuckDBPyConnection, solution: Solution, names: list[str]) -> None:
    connection.register("nodes", solution.nodes.to_arrow())
    connection.register("solved", solution.sets.to_arrow())
    types = "[" + ", ".join(literal(name) for name in names) + "]"
    contact = "md5(concat_ws(chr(0), 'contact', {0}.workspace_id, {1}[{0}.strength + 1], {0}.identifier_value))"
    connection.execute(f"""
        create or replace temp table new_nodes as
        select n.workspace_id, {types}[n.strength + 1] as identifier_type, n.identifier_value, n.first_seen_at,
            {contact.format("c", types)} as component, {contact.format("r", types)} as contact_id, n.node, n.strength
        from nodes as n join nodes as r on n.root = r.node join nodes as c on n.component = c.node""")
    connection.execute(f"""
        create or replace temp table new_sets as
        select a.workspace_id, a.identifiers, a.first_occurred_at, c.component,
            case when s.owner = {OWN_CONTACT} then md5(concat_ws(chr(0), 'set', a.workspace_id, a.identifiers))
            else o.contact_id end as contact_id
        from solved as s join affected as a on s."set" = a."set"
        join new_nodes as c on s.component = c.node left join new_nodes as o on s.owner = o.node""")
    connection.execute("""
        create or replace temp table moved_nodes as
        select workspace_id, old.contact_id as old_contact_id, new.contact_id as new_contact_id
        from work.identity_nodes as old join new_nodes as new using (workspace_id, identifier_type, identifier_value)
        where old.contact_id <> new.contact_id""")
    connection.execute("delete from work.identity_nodes where component in (select component from touched_components)")
    connection.execute("insert into work.identity_nodes by name select * exclude (node, strength) from new_nodes")
    _silent(connection, types)
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
    connection.execute("""
        delete from work.identity_sets
        where (workspace_id, identifiers) in (select (workspace_id, identifiers) from affected)""")
    connection.execute("insert into work.identity_sets by name from new_sets")
    for relation in ("nodes", "solved"):
        connection.unregister(relation)
    for table in ("affected", "members", "touched_components", "new_nodes", "new_sets", "moved_nodes"):
        connection.execute(f"drop table {table}")


def _silent(connection: duckdb.DuckDBPyConnection, types: str) -> None:
    """Sets of deleted events only: shown with the contact of their strongest identifier that somebody holds."""
    connection.execute(f"""
        insert into new_sets by name
        select a.workspace_id, a.identifiers, null::timestamptz as first_occurred_at, null::varchar as component,
            arg_min(n.contact_id, (m.strength, n.first_seen_at, m.identifier_value)) as contact_id
        from affected as a
        left join members as m on a."set" = m."set"
        left join work.identity_nodes as n
            on a.workspace_id = n.workspace_id and {types}[m.strength + 1] = n.identifier_type
            and m.identifier_value = n.identifier_value
        where a.first_occurred_at is null
        group by a.workspace_id, a.identifiers""")
