"""Whom a run has to judge again for which segment: of whom it can say something else than it did at the run before.

Contacts that runs have touched since can have turned in every segment; all others only in those of which a condition turned
with time, and only the way that it did: who is a member enters no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import duckdb

from eventpipe.segments.grammar import Segment
from eventpipe.segments.names import Names
from eventpipe.segments.turning import Turning, Turnings
from eventpipe.sql import literal

QUEUE: Final = "work.unjudged_contacts"
"""Contacts that runs touched since the last judgement; the models fill it."""

SCOPE: Final = "temp.contacts_in_scope"
"""The contacts to judge again: number (their rowid in `contacts`), is_touched (whether for every segment)."""

PAIRS: Final = "temp.judged_pairs"
"""For which segments to judge those who are not touched: segment (its number), contact_id (the contact's number), episode (the
rowid of its open membership in the history, or null)."""

_DUE: Final = "temp.due_contacts"
"""The same under the ids of contacts, while it is found out."""


def everyone(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the two tables for segments that are judged for all contacts."""
    connection.execute(
        f"create or replace temp table {SCOPE} as select rowid as number, true as is_touched from main.contacts"
    )
    connection.execute(f"create or replace temp table {PAIRS} (segment smallint, contact_id bigint, episode bigint)")


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
    connection.execute(f"create or replace temp table {_DUE} (segment smallint, contact_id varchar, episode bigint)")
    turnings = Turnings(names, since, as_of, lambda segment: _turned(numbers[segment]))
    for segment in segments:
        turned = dict.fromkeys(each.query() for each in turnings.of(segment.where))
        if turned:
            connection.execute(f"""
                insert into {_DUE}
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
    # Numbered once: all that follows groups and joins numbers instead of texts.
    connection.execute(f"""
        create or replace temp table {PAIRS} as
        select due.segment, contacts.rowid as contact_id, due.episode
        from {_DUE} as due inner join main.contacts as contacts on due.contact_id = contacts.contact_id""")
    connection.execute(f"drop table {_DUE}")
    connection.execute(f"""
        create or replace temp table {SCOPE} as
        select number, bool_or(is_touched) as is_touched
        from (
            select rowid as number, true as is_touched from main.contacts semi join {QUEUE} using (contact_id)
            union all
            select contact_id as number, false as is_touched from {PAIRS}
        ) as found
        group by number""")
    count = connection.execute(f"select count(*) from {SCOPE}").fetchone()
    assert count is not None
    return int(count[0])


def in_scope(connection: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> set[int]:
    """Those of the segments for which somebody is to be judged."""
    touched = connection.execute(f"select coalesce(bool_or(is_touched), false) from {SCOPE}").fetchone()
    if touched == (True,):
        return set(numbers)
    return {number for (number,) in connection.execute(f"select distinct segment from {PAIRS}").fetchall()}


def _turned(number: int) -> Turning:
    """Who enters or leaves another segment is among those that are due for it."""
    return Turning(f"from {_DUE} where segment = {number}", "episode is null", "episode is not null")
