"""The segment stage of a run: who enters and who leaves (spec 3, "Segments").

Judged again are the contacts of whom something can have changed (`scope`); for a new or changed segment, everyone. The
result equals judging everyone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
from sqlglot import exp

from eventpipe.ops import memberships, runs
from eventpipe.ops.store import OpsStore
from eventpipe.segments import history
from eventpipe.segments.compile import Compiler
from eventpipe.segments.definitions import Segments
from eventpipe.segments.expressions import equals, sql
from eventpipe.segments.grammar import Segment
from eventpipe.segments.query import Query, Standpoint, Tables
from eventpipe.segments.scope import QUEUE, SCOPE, find_contacts, keep_rfm
from eventpipe.segments.selection import events_read
from eventpipe.segments.versions import versions
from eventpipe.sql import literal, literals

_TABLES: Final = Tables("temp.judged_events", "temp.judged_contacts", "temp.judged_identifiers", "temp.judged_rfm")
"""What the queries read: of the contacts that are judged, under numbers instead of their ids."""

_FOUND: Final = "temp.found_members"
_OPEN: Final = "temp.open_members"
_EVENT_COLUMNS: Final = (
    "event_id",
    "event_name",
    "occurred_at",
    "goal_type",
    "goal_name",
    "value",
    "currency",
    "order_id",
    "source",
)


@dataclass(frozen=True)
class Judgement:
    """Figures of the stage: contacts judged for segments that were known, segments judged for everyone, changes."""

    contacts: int
    whole_segments: int
    entered: int
    left: int
    moved: int


def judge(
    connection: duckdb.DuckDBPyConnection, store: OpsStore, segments: Segments, *, run_id: str, as_of: datetime
) -> Judgement:
    """Bring `segment_history` and `segment_members` up to date and leave the changes in `run.segment_changes`."""
    stage = _Stage(connection, segments, run_id, as_of)
    last = history.judged_run(connection)
    known = last is not None and last.recorded and _was_published(store, last.run_id)
    recorded_until = memberships.last_as_of(store)
    connection.execute("begin")
    try:
        if not known:
            history.reload(connection, memberships.journal(store, as_of))
            last = None
        judgement = stage.judge(last)
        recorded = recorded_until is None or recorded_until <= as_of
        history.remember(connection, history.JudgedRun(run_id, as_of, recorded), stage.versions)
        connection.execute(f"delete from {QUEUE}")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    return judgement


def _was_published(store: OpsStore, run_id: str) -> bool:
    return any(run.run_id == run_id for run in runs.recent(store, 100, status="published"))


class _Stage:
    def __init__(self, connection: duckdb.DuckDBPyConnection, segments: Segments, run_id: str, as_of: datetime) -> None:
        self._connection = connection
        self._segments = segments
        self._run_id = run_id
        self._as_of = as_of
        self.versions = versions(segments)

    def judge(self, last: history.JudgedRun | None) -> Judgement:
        """`last` is None when nothing is known of an earlier judgement."""
        history.begin_changes(self._connection)
        maybe_gone = "main.segment_history" if last is None else QUEUE
        moved = history.follow_merges(self._connection, f"from {maybe_gone}", _ALIASES, self._as_of)
        whole = self._changed_segments() if last is not None else set(self._segments.by_name)
        known = [each for each in self._segments.definitions if each.name not in whole]
        judged = 0
        if known and last is not None:
            judged = find_contacts(self._connection, known, self._segments.names, since=last.as_of, as_of=self._as_of)
            if judged:
                self._judge_among(known, f"semi join {SCOPE} using (contact_id)")
        self._judge_among([each for each in self._segments.definitions if each.name in whole], "")
        self._close(maybe_gone)
        keep_rfm(self._connection, self._segments.definitions)
        counts = dict(
            self._connection.execute("select change, count(*) from run.segment_changes group by change").fetchall()
        )
        return Judgement(judged, len(whole), counts.get("entered", 0), counts.get("left", 0), moved)

    def _changed_segments(self) -> set[str]:
        stored = dict(self._connection.execute("select segment, version from work.judged_segments").fetchall())
        return {name for name, version in self.versions.items() if stored.get(name) != version}

    def _judge_among(self, segments: list[Segment], among: str) -> None:
        """Judge these segments among all contacts, or those that the join `among` leaves.

        Contacts are numbered first: all that follows groups and joins numbers instead of texts.
        """
        if not segments:
            return
        numbers = {segment.name: number for number, segment in enumerate(segments)}

        def members_of(name: str) -> exp.Select:
            if name not in numbers:
                return exp.select("contact_id").from_(f"{_OPEN}").where(equals("segment", name))
            return exp.select("contact_id").from_(_FOUND).where(f"segment = {numbers[name]}")

        compiler = Compiler(Standpoint(self._segments.names, self._as_of, _TABLES), members_of)
        queries = [compiler.query(segment.where) for segment in segments]
        self._connection.execute(
            f"create or replace temp table {_TABLES.contacts} as"
            " select (row_number() over ())::integer as contact_id, contacts.* rename (contact_id as id)"
            f" from main.contacts as contacts {among}"
        )
        self._gather(segments, queries)
        self._connection.execute(f"create or replace temp table {_FOUND} (segment smallint, contact_id integer)")
        for number, query in enumerate(queries):
            self._connection.execute(f"insert into {_FOUND} select {number}, contact_id from ({sql(query.members())})")
        self._record(segments)
        for table in (*vars(_TABLES).values(), _FOUND, _OPEN):
            self._connection.execute(f"drop table {table}")

    def _gather(self, segments: list[Segment], queries: list[Query]) -> None:
        """What the queries look at of these contacts: one scan of the events for all of them, with the columns that any
        needs, and properties only where they are looked at."""
        used = {
            column.name for query in queries for step in query.steps.values() for column in step.find_all(exp.Column)
        }
        columns = ["contact_id", "deletion", *(column for column in _EVENT_COLUMNS if column in used)]
        reading = events_read(segments, columns, Standpoint(self._segments.names, self._as_of))
        numbered = f"inner join {_TABLES.contacts} as numbered on {{0}}.contact_id = numbered.id"
        self._connection.execute(
            f"create or replace temp table {_TABLES.events} as"
            f" select numbered.contact_id, events.* exclude (contact_id)"
            f" from ({sql(reading)}) as events {numbered.format('events')}"
        )
        for table, source in ((_TABLES.rfm, "contact_rfm"), (_TABLES.identifiers, "contact_identifiers")):
            is_read = any(found.name == table.rpartition(".")[2] for query in queries for found in _tables(query))
            self._connection.execute(
                f"create or replace temp table {table} as select numbered.contact_id, {source}.* exclude (contact_id)"
                f" from main.{source} {numbered.format(source)} where {str(is_read).lower()}"
            )
        self._connection.execute(
            f"create or replace temp table {_OPEN} as select numbered.contact_id, history.segment"
            f" from main.segment_history as history {numbered.format('history')} where left_at is null"
        )

    def _record(self, segments: list[Segment]) -> None:
        """Who was found and is no member yet enters; who is one and was not found leaves."""
        names = ", ".join(f"({number}::smallint, {literal(each.name)})" for number, each in enumerate(segments))
        history.apply(
            self._connection,
            f"""
            with names (segment, name) as (values {names}),
            open as (
                select names.segment, {_OPEN}.contact_id from {_OPEN} inner join names on {_OPEN}.segment = names.name
            ),
            turned as (
                select 'entered' as change, * from {_FOUND} anti join open using (segment, contact_id)
                union all
                select 'left' as change, * from open anti join {_FOUND} using (segment, contact_id)
            )
            select change, names.name as segment, workspace_id, contacts.id as contact_id
            from turned
            inner join names on turned.segment = names.segment
            inner join {_TABLES.contacts} as contacts on turned.contact_id = contacts.contact_id""",
            self._as_of,
            self._run_id,
        )

    def _close(self, maybe_gone: str) -> None:
        """Nobody is a member of a segment that is not defined any more, nor is a contact that is gone."""
        defined = literals(self._segments.by_name) or "null"
        history.apply(
            self._connection,
            f"""
            select 'left' as change, segment, workspace_id, contact_id
            from main.segment_history
            where left_at is null and (
                segment not in ({defined})
                or contact_id in (
                    select contact_id from {maybe_gone} anti join main.contacts using (contact_id)
                )
            )""",
            self._as_of,
            self._run_id,
        )


_ALIASES: Final = "select workspace_id, alias_id, contact_id from main.contact_aliases"


def _tables(query: Query) -> Iterator[exp.Table]:
    for step in query.steps.values():
        yield from step.find_all(exp.Table)
