"""The tables of the identity step, from the answers of a run: who is who, and what changed (columns: `resolve`)."""

from __future__ import annotations

import duckdb

from eventpipe.identity.answers import Answers
from eventpipe.identity.ids import id_of_identifier, id_of_set
from eventpipe.identity.limits import UNLINKED
from eventpipe.identity.reached import type_names
from eventpipe.identity.rules import Rules
from eventpipe.identity.solve import OWN_CONTACT

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

_TEMPORARY = (
    ("view", "new_sets"),
    ("view", "new_nodes"),
    ("table", "ids"),
    ("table", "old_nodes"),
    ("table", "old_sets"),
)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes those that are kept, where they are not yet."""
    for table, columns in _COLUMNS.items():
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"create table if not exists work.{table} ({listed})")


def set_aside(connection: duckdb.DuckDBPyConnection) -> None:
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


def write_nodes(connection: duckdb.DuckDBPyConnection, answers: Answers, rules: Rules) -> None:
    """work.identity_nodes, and the temporary table `ids` of what the solution points at."""
    connection.register("answer", answers.nodes)
    connection.register("pointed_at", answers.pointed_at)
    connection.execute(f"""
        create or replace temp table ids as
        select node, {id_of_identifier(type=f"{type_names(rules)}[strength + 1]")} as alias_id,
            md5_number_lower(alias_id) as component
        from nodes join pointed_at on nodes.rowid = pointed_at.node""")
    connection.execute(f"""
        create or replace temp view new_nodes as
        select nodes.workspace_id, {type_names(rules)}[nodes.strength + 1] as identifier_type, nodes.identifier_value,
            nodes.first_seen_at, reached.component, {id_of_identifier()} as alias_id, held.alias_id as contact_id
        from nodes join answer on nodes.rowid = answer.node
        join ids as held on answer.root = held.node join ids as reached on answer.component = reached.node""")
    _replace(connection, "identity_nodes", "old_nodes", "new_nodes", "alias_id")
    connection.execute("""
        create or replace table run.solved_components as
        select distinct ids.component from answer join ids on answer.component = ids.node""")
    connection.unregister("answer")
    connection.unregister("pointed_at")


def write_sets(connection: duckdb.DuckDBPyConnection, answers: Answers, rules: Rules) -> None:
    """work.identity_sets, silent ones included."""
    connection.register("answer", answers.sets)
    # Sets of deleted events only are shown with the contact of their strongest identifier that somebody holds.
    connection.execute(f"""
        create or replace temp view new_sets as
        with silent as (select * from affected where first_occurred_at is null),
        found as (
            select m."set", arg_min(held.contact_id, (m.strength, held.first_seen_at, m.identifier_value)) as contact_id
            from members as m join work.identity_nodes as held
                on m.workspace_id = held.workspace_id and {type_names(rules)}[m.strength + 1] = held.identifier_type
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


def tell(connection: duckdb.DuckDBPyConnection, answers: Answers, rules: Rules) -> None:
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
        select a.workspace_id, a.identifiers, {type_names(rules)}[l.strength + 1] as left_type,
            l.identifier_value as left_value, left_held.alias_id as left_contact_id,
            {type_names(rules)}[r.strength + 1] as right_type, r.identifier_value as right_value,
            right_held.alias_id as right_contact_id,
            if(c.rule = {UNLINKED}, 'unlink', 'limit:' || {type_names(rules)}[c.rule + 1]) as rule, a.first_occurred_at as occurred_at
        from refused as c join affected as a using ("set")
        join nodes as l on c."left" = l.rowid join nodes as r on c."right" = r.rowid
        join ids as left_held on c.left_root = left_held.node join ids as right_held on c.right_root = right_held.node""")
    connection.unregister("merged")
    connection.unregister("refused")


def tell_moved(connection: duckdb.DuckDBPyConnection) -> None:
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


def forget(connection: duckdb.DuckDBPyConnection) -> None:
    """Drops what only this step needs."""
    for kind, name in _TEMPORARY:
        connection.execute(f"drop {kind} {name}")
