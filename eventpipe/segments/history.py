"""Who is and was a member, in the working database: the tables `segment_history` and `segment_members`.

    main.segment_history  workspace_id, segment, contact_id, entered_at, left_at, run_entered, run_left
    main.segment_members  those that have not ended, a view
    run.segment_changes   what this run changed, for the ops store: segment, and the columns of its frames
    work.judged_run       one row: the run whose changes the history holds, its as_of, whether they go into the ops store
    work.judged_segments  segment: the version that was judged

The ops store remembers, these tables show: lost, they are read back from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb

from eventpipe.ops.memberships import COLUMNS, SegmentChanges
from eventpipe.sql import identifier, literal, literals

_DESCRIPTIONS: Final = {
    "workspace_id": "The workspace that the row belongs to.",
    "segment": "Name of the segment.",
    "contact_id": "The contact, derived from its earliest-seen identifier.",
    "entered_at": "as_of of the run that first found the contact a member, UTC.",
    "left_at": "as_of of the run that found it a member no longer, UTC; null while it is one.",
    "run_entered": "The run that found the contact a member.",
    "run_left": "The run that found it a member no longer.",
}
_MEMBERS: Final = ("workspace_id", "segment", "contact_id", "entered_at", "run_entered")


@dataclass(frozen=True)
class JudgedRun:
    """The run whose changes the history holds."""

    run_id: str
    as_of: datetime
    recorded: bool


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables where they are not there yet, empty."""
    connection.execute("create schema if not exists run; create schema if not exists work")
    connection.execute("""
        create table if not exists main.segment_history (
            workspace_id varchar, segment varchar, contact_id varchar, entered_at timestamptz, left_at timestamptz,
            run_entered varchar, run_left varchar
        )""")
    columns = ", ".join(_MEMBERS)
    connection.execute(
        f"create view if not exists main.segment_members as select {columns} from main.segment_history"
        " where left_at is null"
    )
    grain = "Grain: segment and contact_id"
    connection.execute(
        "comment on table main.segment_history is"
        f" {literal(f'Memberships of segments, as runs observed them. {grain}, one row per episode.')}"
    )
    connection.execute(f"comment on view main.segment_members is {literal(f'Members of segments now. {grain}.')}")
    for column, text in _DESCRIPTIONS.items():
        connection.execute(f"comment on column main.segment_history.{identifier(column)} is {literal(text)}")
        if column in _MEMBERS:
            connection.execute(f"comment on column main.segment_members.{identifier(column)} is {literal(text)}")
    connection.execute("""
        create table if not exists work.judged_run (run_id varchar, as_of timestamptz, recorded boolean);
        create table if not exists work.judged_segments (segment varchar, version varchar);
        create table if not exists work.rfm_holders (condition varchar, contact_id varchar)""")


def judged_run(connection: duckdb.DuckDBPyConnection) -> JudgedRun | None:
    """What the history holds; None when nothing was judged since the tables were made."""
    found = connection.execute("select run_id, as_of, recorded from work.judged_run").fetchone()
    return None if found is None else JudgedRun(*found)


def judged_versions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """By segment: the version of its definition that was judged."""
    return dict(connection.execute("select segment, version from work.judged_segments").fetchall())


def reload(connection: duckdb.DuckDBPyConnection, journal: Iterable[SegmentChanges]) -> None:
    """Write the history anew from the ops store's journal, which is in the order in which it happened."""
    connection.execute("""
        create or replace temp table journal (
            segment varchar, workspace_id varchar, contact_id varchar, change varchar, into_contact_id varchar,
            as_of timestamptz, run_id varchar, place integer
        )""")
    for place, each in enumerate(journal):
        connection.register("frame", each.frame.to_arrow())
        connection.execute(
            "insert into journal select $1, workspace_id, contact_id, change, into_contact_id, $2, $3, $4 from frame",
            [each.segment, each.as_of, each.run_id, place],
        )
        connection.unregister("frame")
    connection.execute("delete from main.segment_history")
    connection.execute("""
        insert into main.segment_history by name
        with told as (
            select segment, workspace_id, contact_id, as_of, run_id, place, change = 'entered' as enters
            from journal where change <> 'renamed'
            union all
            select segment, workspace_id, into_contact_id, as_of, run_id, place, true from journal where change = 'moved'
        ),
        turns as (
            select *, lag(enters, 1, false) over episode as was_in from told
            window episode as (
                partition by segment, workspace_id, contact_id order by as_of, place, enters desc
            )
        ),
        edges as (
            select *, lead(as_of) over episode as ends_at, lead(run_id) over episode as ends_run from turns
            where enters <> was_in
            window episode as (partition by segment, workspace_id, contact_id order by as_of, place, enters desc)
        )
        select segment, workspace_id, contact_id, as_of as entered_at, ends_at as left_at, run_id as run_entered,
            ends_run as run_left
        from edges where enters""")
    moves = connection.execute(
        "select as_of, min(place) from journal where change in ('moved', 'renamed') group by as_of, run_id order by min(place)"
    ).fetchall()
    for at, _ in moves:
        connection.execute(
            "create or replace temp table moves as select distinct workspace_id, contact_id, into_contact_id"
            " from journal where change in ('moved', 'renamed') and as_of = $1",
            [at],
        )
        _rename(connection, until=at)
    connection.execute("drop table journal; drop table if exists moves")


def follow_merges(connection: duckdb.DuckDBPyConnection, gone: str, aliases: str, as_of: datetime) -> int:
    """Give the episodes of contacts that no longer exist to the contact that has their identifiers now.

    `gone` is a relation of workspace_id and contact_id, those that may be gone; `aliases` one of workspace_id, alias_id
    and contact_id. Returns how many contacts moved.
    """
    connection.execute(f"""
        create or replace temp table moves as
        select stale.workspace_id, stale.contact_id, aliases.contact_id as into_contact_id
        from (
            select distinct workspace_id, contact_id from ({gone})
            semi join main.segment_history using (workspace_id, contact_id)
            anti join main.contacts using (workspace_id, contact_id)
        ) as stale
        inner join ({aliases}) as aliases
            on stale.workspace_id = aliases.workspace_id and stale.contact_id = aliases.alias_id
        semi join main.contacts as living
            on aliases.workspace_id = living.workspace_id and aliases.contact_id = living.contact_id""")
    found = connection.execute("select count(*) from moves").fetchone()
    assert found is not None
    if found[0]:
        connection.execute("""
            insert into run.segment_changes by name
            select distinct segment, workspace_id, contact_id,
                if(left_at is null, 'moved', 'renamed') as change, into_contact_id
            from main.segment_history inner join moves using (workspace_id, contact_id)
            qualify row_number() over (
                partition by segment, workspace_id, contact_id order by left_at is null desc
            ) = 1""")
        _rename(connection, until=as_of)
    connection.execute("drop table moves")
    return int(found[0])


def apply(connection: duckdb.DuckDBPyConnection, turned: str, as_of: datetime, run_id: str) -> None:
    """Record who entered and who left: `turned` is a relation of change, segment, workspace_id, contact_id and episode, the
    row of the history that ends, null where one begins."""
    connection.execute(f"create or replace temp table turned as {turned}")
    at, by = f"timestamptz {literal(as_of)}", literal(run_id)
    kinds = {kind for (kind,) in connection.execute("select distinct change from turned").fetchall()}
    if "left" in kinds:
        connection.execute(
            f"update main.segment_history as history set left_at = {at}, run_left = {by}"
            " from turned where history.rowid = turned.episode"
        )
    if "entered" in kinds:
        connection.execute(
            "insert into main.segment_history by name"
            f" select segment, workspace_id, contact_id, {at} as entered_at, {by} as run_entered"
            # One after the other: who asks for one segment's members passes over the others'.
            " from turned where change = 'entered' order by segment"
        )
    connection.execute(
        "insert into run.segment_changes by name select * exclude (episode) from turned; drop table turned"
    )


def begin_changes(connection: duckdb.DuckDBPyConnection) -> None:
    """An empty `run.segment_changes`."""
    connection.execute("""
        create or replace table run.segment_changes (
            segment varchar, workspace_id varchar, contact_id varchar, change varchar, into_contact_id varchar
        )""")


def remember(connection: duckdb.DuckDBPyConnection, run: JudgedRun, versions: dict[str, str]) -> None:
    """Record what was judged."""
    connection.execute("delete from work.judged_run; delete from work.judged_segments")
    told = f"{literal(run.run_id)}, timestamptz {literal(run.as_of)}, {literal(run.recorded)}"
    connection.execute(f"insert into work.judged_run values ({told})")
    if versions:
        rows = ", ".join(f"({literals(each)})" for each in versions.items())
        connection.execute(f"insert into work.judged_segments values {rows}")


def unrecorded(connection: duckdb.DuckDBPyConnection, run_id: str) -> Iterator[SegmentChanges]:
    """What the run changed, for the ops store; nothing when it judged an instant of the past."""
    run = judged_run(connection)
    if run is None or run.run_id != run_id or not run.recorded:
        return
    for (segment,) in connection.execute("select distinct segment from run.segment_changes order by all").fetchall():
        columns = ", ".join(COLUMNS)
        frame = connection.execute(f"select {columns} from run.segment_changes where segment = $1", [segment]).pl()
        yield SegmentChanges(run_id, segment, run.as_of, frame)


def _rename(connection: duckdb.DuckDBPyConnection, until: datetime) -> None:
    """Episodes that began by `until` follow the table `moves`; those of one contact that overlap become one."""
    connection.execute(
        """
        create or replace temp table islands as
        with theirs as (
            select history.* replace (coalesce(moves.into_contact_id, history.contact_id) as contact_id)
            from main.segment_history as history
            left join moves
                on history.workspace_id = moves.workspace_id and history.contact_id = moves.contact_id
                and history.entered_at <= $until
        ),
        affected as (
            select theirs.*, coalesce(left_at, 'infinity'::timestamptz) as ends_at
            from theirs semi join (select distinct workspace_id, into_contact_id from moves) as moves
                on theirs.workspace_id = moves.workspace_id and theirs.contact_id = moves.into_contact_id
        ),
        reached as (
            select *, max(ends_at) over (
                partition by segment, workspace_id, contact_id order by entered_at, ends_at
                rows between unbounded preceding and 1 preceding
            ) as reached_at
            from affected
        ),
        numbered as (
            -- By range, not by rows: of episodes that are alike either may come first, here and above.
            select *, count(*) filter (where reached_at is null or reached_at < entered_at) over (
                partition by segment, workspace_id, contact_id order by entered_at, ends_at
                range unbounded preceding
            ) as island
            from reached
        )
        select segment, workspace_id, contact_id, min(entered_at) as entered_at,
            arg_min(run_entered, (entered_at, run_entered)) as run_entered, nullif(max(ends_at), 'infinity') as left_at,
            arg_max(run_left, (ends_at, run_left)) filter (where max_ends < 'infinity') as run_left
        from (select *, max(ends_at) over (partition by segment, workspace_id, contact_id, island) as max_ends from numbered)
        group by segment, workspace_id, contact_id, island""",
        {"until": until},
    )
    connection.execute(
        """
        delete from main.segment_history as history using moves
        where history.workspace_id = moves.workspace_id
            and (history.contact_id = moves.into_contact_id
                or (history.contact_id = moves.contact_id and history.entered_at <= $until))""",
        {"until": until},
    )
    connection.execute("insert into main.segment_history by name from islands; drop table islands")
