"""For whom conditions on scores hold, and held when segments were judged last.

    work.rfm_holders    condition and contact_id: for whom it held then
    temp.moved_holders  condition and contact_id: for whom that is not so any more (place: its rowid among those) or newly so
                        (place is null)

Scores are places among all others: whoever a run touches, they can move.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

from eventpipe.segments.expressions import sql
from eventpipe.segments.grammar import RfmCondition, Segment, leaves
from eventpipe.segments.names import RFM_OWN, Names
from eventpipe.segments.profile import rfm_holds
from eventpipe.sql import literal, literals

MOVED: Final = "temp.moved_holders"


def moves(node: RfmCondition) -> bool:
    """Whether a condition looks at what changes of a contact that nothing happened to."""
    return str(node.rfm) not in RFM_OWN


def condition_of(node: RfmCondition, names: Names) -> str:
    """What a condition asks of a row of contact_rfm; the tables know it by this."""
    return sql(rfm_holds(node, names))


def compare(connection: duckdb.DuckDBPyConnection, segments: Iterable[Segment], names: Names) -> None:
    """Write `temp.moved_holders`, of all conditions of these segments."""
    asked = (leaf for segment in segments for leaf in leaves(segment.where) if isinstance(leaf, RfmCondition))
    conditions = sorted({condition_of(each, names) for each in asked if moves(each)})
    connection.execute(f"""
        create or replace temp table moved_holders as
        select condition, contact_id, rowid as place from work.rfm_holders
        where condition not in ({literals(conditions) or "null"})""")
    for condition in conditions:
        kept = f"select rowid as place, contact_id from work.rfm_holders where condition = {literal(condition)}"
        connection.execute(f"""
            insert into {MOVED}
            select {literal(condition)}, coalesce(kept.contact_id, holders.contact_id), kept.place
            from ({kept}) as kept
            full join (select contact_id from main.contact_rfm where {condition}) as holders
                on kept.contact_id = holders.contact_id
            where kept.contact_id is null or holders.contact_id is null""")


def keep(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring `work.rfm_holders` up to date. Written is only what moved."""
    connection.execute(f"delete from work.rfm_holders where rowid in (select place from {MOVED})")
    connection.execute(
        f"insert into work.rfm_holders select condition, contact_id from {MOVED} where place is null; drop table {MOVED}"
    )
