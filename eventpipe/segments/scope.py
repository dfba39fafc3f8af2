"""Whom a run has to judge again for which segment: of whom it can say something else than it did at the run before.

Contacts that runs have touched since can have turned in every segment; all others only in those of which a condition turned
with time, and only the way that it did: who is a member enters no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import duckdb

from eventpipe.segments.grammar import RfmCondition, Segment, leaves
from eventpipe.segments.names import Names
from eventpipe.segments.turning import Turning, Turnings, moves, rfm_condition
from eventpipe.sql import literal, literals

QUEUE: Final = "work.unjudged_contacts"
"""Contacts that runs touched since the last judgement; the models fill it."""

SCOPE: Final = "temp.contacts_in_scope"
"""The contacts to judge again: number (their rowid in `contacts`), contact_id, is_touched (whether for every segment)."""

DUE: Final = "temp.due_contacts"
"""For which segments to judge those who are not touched: segment (its number), contact_id, episode (the rowid of its open
membership in the history, or null)."""


def everyone(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the two tables for segments that are judged for all contacts."""
    _begin(connection)
    connection.execute(
        f"create or replace temp table {SCOPE} as select rowid as number, contact_id, true as is_touched from main.contacts"
    )


def find_due(
    connection: duckdb.DuckDBPyConnection,
    segments: Iterable[Segment],
    numbers: Mapping[str, int],
    names: Names,
    *,
    since: datetime,
    as_of: datetime,
) -> int:
    """Make the two tables for these segments, each after those that it names, last judged at `since`. Returns how many
    contacts there are to judge."""
    _begin(connection)
    turnings = Turnings(names, since, as_of, lambda segment: _turned(numbers[segment]))
    for segment in segments:
        turned = dict.fromkeys(each.query() for each in turnings.of(segment.where))
        if turned:
            connection.execute(f"""
                insert into {DUE}
                select {numbers[segment.name]}, contact_id, episode
                from (
                    select contact_id, bool_or(rises) as rises, bool_or(falls) as falls
                    from ({" union all ".join(turned)}) as turned
                    group by contact_id
                ) as turned
                left join (
                    select contact_id, rowid as episode from main.segment_history
                    where segment = {literal(segment.name)} and left_at is null
                ) as open using (contact_id)
                where if(episode is null, rises, falls)""")
    connection.execute(f"""
        create or replace temp table {SCOPE} as
        select contacts.rowid as number, found.contact_id, found.is_touched
        from (
            select contact_id, bool_or(is_touched) as is_touched
            from (
                select contact_id, true as is_touched from {QUEUE}
                union all
                select contact_id, false as is_touched from {DUE}
            ) as found
            group by contact_id
        ) as found
        inner join main.contacts as contacts on found.contact_id = contacts.contact_id""")
    count = connection.execute(f"select count(*) from {SCOPE}").fetchone()
    assert count is not None
    return int(count[0])


def _begin(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"create or replace temp table {DUE} (segment smallint, contact_id varchar, episode bigint)")


def in_scope(connection: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> set[int]:
    """Those of the segments for which somebody is to be judged."""
    touched = connection.execute(f"select coalesce(bool_or(is_touched), false) from {SCOPE}").fetchone()
    if touched == (True,):
        return set(numbers)
    return {number for (number,) in connection.execute(f"select distinct segment from {DUE}").fetchall()}


def _turned(number: int) -> Turning:
    """Who enters or leaves another segment is among those that are due for it."""
    return Turning(f"from {DUE} where segment = {number}", "episode is null", "episode is not null")


def keep_rfm(connection: duckdb.DuckDBPyConnection, segments: Iterable[Segment], names: Names) -> None:
    """Keep for whom each condition on scores holds, to compare the next run's with. Written is only what changed."""
    asked = (leaf for segment in segments for leaf in leaves(segment.where) if isinstance(leaf, RfmCondition))
    conditions = sorted({rfm_condition(each, names) for each in asked if moves(each)})
    connection.execute(f"delete from work.rfm_holders where condition not in ({literals(conditions) or 'null'})")
    for condition in conditions:
        kept = f"select rowid as place, contact_id from work.rfm_holders where condition = {literal(condition)}"
        holders = f"select contact_id from main.contact_rfm where {condition}"
        connection.execute(f"""
            create or replace temp table moved_holders as
            select kept.place, holders.contact_id
            from ({kept}) as kept full join ({holders}) as holders on kept.contact_id = holders.contact_id
            where kept.place is null or holders.contact_id is null""")
        connection.execute("delete from work.rfm_holders where rowid in (select place from moved_holders)")
        connection.execute(
            f"insert into work.rfm_holders select {literal(condition)}, contact_id from moved_holders where place is null"
        )
        connection.execute("drop table moved_holders")
