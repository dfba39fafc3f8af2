"""The segment stage of a run: who enters and who leaves.

Only contacts for whom something may have changed are judged again (`scope`); for a new or changed segment, everyone. The
result equals judging everyone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
from sqlglot import exp

from eventpipe.ops import memberships, runs
from eventpipe.ops.store import OpsStore
from eventpipe.segments import history, holders
from eventpipe.segments.compile import Compiler
from eventpipe.segments.definitions import Segments, references
from eventpipe.segments.expressions import sql
from eventpipe.segments.gathering import Gathered, GatheredTables, columns_read
from eventpipe.segments.grammar import Segment
from eventpipe.segments.query import Query, Standpoint
from eventpipe.segments.scope import PAIRS, QUEUE, SCOPE, everyone, find_due, in_scope
from eventpipe.segments.versions import versions
from eventpipe.sql import literal, literals

_CONTACTS: Final = GatheredTables.contacts
"""The contacts in scope: contact_id (a number, here and in all tables of a judgement), id, workspace_id, what queries ask of
`contacts`, is_touched, and for each table that queries look at, whether any asks it about the contact."""

_FOUND: Final = "temp.found_members"
_OPEN: Final = "temp.open_members"


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
    run = runs.find(store, run_id)
    return run is not None and run.status == "published"


class _Stage:
    def __init__(self, connection: duckdb.DuckDBPyConnection, segments: Segments, run_id: str, as_of: datetime) -> None:
        self._connection = connection
        self._segments = segments
        self._run_id = run_id
        self._as_of = as_of
        self._numbers = {segment.name: number for number, segment in enumerate(segments.definitions)}
        self.versions = versions(segments)

    def judge(self, last: history.JudgedRun | None) -> Judgement:
        """`last` is None when nothing is known of an earlier judgement."""
        history.begin_changes(self._connection)
        maybe_gone = "main.segment_history" if last is None else QUEUE
        moved = history.follow_merges(self._connection, f"from {maybe_gone}", _ALIASES, self._as_of)
        stored = {} if last is None else history.judged_versions(self._connection)
        whole = {name for name, version in self.versions.items() if stored.get(name) != version}
        holders.compare(self._connection, self._segments.definitions, self._segments.names)
        known = [each for each in self._segments.definitions if each.name not in whole]
        judged = 0
        if known and last is not None:
            names = self._segments.names
            judged = find_due(self._connection, known, self._numbers, names, since=last.as_of, as_of=self._as_of)
            self._judge_in_scope(known)
        if whole:
            everyone(self._connection)
            self._judge_in_scope([each for each in self._segments.definitions if each.name in whole])
        if last is None or stored.keys() - self.versions.keys() or self._is_anybody_touched():
            self._close(maybe_gone)
        holders.keep(self._connection)
        counts = dict(
            self._connection.execute("select change, count(*) from run.segment_changes group by change").fetchall()
        )
        return Judgement(judged, len(whole), counts.get("entered", 0), counts.get("left", 0), moved)

    def _is_anybody_touched(self) -> bool:
        return self._connection.execute(f"select exists (from {QUEUE})").fetchone() == (True,)

    def _judge_in_scope(self, segments: list[Segment]) -> None:
        """Judge these segments for the contacts in scope. Those for which nobody is due cost nothing."""
        concerned = in_scope(self._connection, (self._numbers[each.name] for each in segments))
        judged = {self._numbers[each.name]: each for each in segments if self._numbers[each.name] in concerned}
        if not judged:
            return

        def members_of(name: str) -> exp.Select:
            number = self._numbers[name]
            found = exp.select("contact_id").from_(_FOUND).where(f"segment = {number}")
            others = exp.select("contact_id").from_(_OPEN).where(f"segment = {number}", "not is_due")
            return exp.select("contact_id").from_(exp.union(found, others, distinct=False).subquery("members"))

        tables = GatheredTables()
        compiler = Compiler(Standpoint(self._segments.names, self._as_of, tables), members_of)
        queries = {number: compiler.query(segment.where) for number, segment in judged.items()}
        self._gather(queries, tables)
        self._open(judged)
        self._connection.execute(f"create or replace temp table {_FOUND} (segment smallint, contact_id bigint)")
        for number, query in queries.items():
            members = query.members().where(f"contacts.is_touched or contacts.contact_id in ({_due((number,))})")
            self._connection.execute(f"insert into {_FOUND} select {number}, contact_id from ({sql(members)})")
        self._record()
        for table in (*(each.table for each in tables.gathered()), _CONTACTS, PAIRS, _FOUND, _OPEN):
            self._connection.execute(f"drop table if exists {table}")

    def _gather(self, queries: Mapping[int, Query], tables: GatheredTables) -> None:
        """What the queries look at, of the contacts that they are to judge."""
        asked = {
            column.name
            for query in queries.values()
            for column in query.members().find_all(exp.Column)
            if column.table == "contacts" and column.name != "contact_id"
        }
        columns = "".join(f", contacts.{name}" for name in sorted(asked | {"workspace_id"}))
        read = {number: columns_read(query) for number, query in queries.items()}
        wanted = [
            (each, readers)
            for each in tables.gathered()
            if (readers := [number for number, of_query in read.items() if each.table in of_query])
        ]
        is_asked = "".join(
            f", is_touched or scope.number in ({_due(readers)}) as {_asks(each)}" for each, readers in wanted
        )
        self._connection.execute(
            f"create or replace temp table {_CONTACTS} as"
            f" select number as contact_id, contacts.contact_id as id, is_touched{columns}{is_asked}"
            f" from {SCOPE} as scope inner join main.contacts as contacts on scope.number = contacts.rowid"
        )
        # The least and the greatest id of a few contacts keep no event out, and comparing them costs more than the join.
        self._connection.execute("set disabled_optimizers = 'join_filter_pushdown'")
        try:
            for each, readers in wanted:
                self._gather_one(each, set().union(*(read[number][each.table] for number in readers)))
        finally:
            self._connection.execute("reset disabled_optimizers")

    def _gather_one(self, wanted: Gathered, columns: Collection[str]) -> None:
        listed = "".join(f", found.{column}" for column in sorted(columns))
        self._connection.execute(
            f"create or replace temp table {wanted.table} as select contacts.contact_id{listed}"
            f" from ({wanted.query(sorted(columns))}) as found"
            f" inner join {_CONTACTS} as contacts on found.contact_id = contacts.id and contacts.{_asks(wanted)}"
        )

    def _open(self, judged: Mapping[int, Segment]) -> None:
        """Who is a member so far, of whom something is to be said: of the judged segments (is_due), or, for those that
        refer to them, of others."""
        named = {self._numbers[name] for segment in judged.values() for name in references(segment)}
        touched = self._connection.execute(f"select coalesce(bool_or(is_touched), false) from {_CONTACTS}").fetchone()
        wanted = named | judged.keys() if touched == (True,) else named
        names = {
            each.name: self._numbers[each.name]
            for each in self._segments.definitions
            if self._numbers[each.name] in wanted
        }
        self._connection.execute(f"""
            create or replace temp table {_OPEN} as
            select segment, contact_id, episode, true as is_due from {PAIRS} where episode is not null""")
        if names:
            self._connection.execute(f"""
                insert into {_OPEN}
                with names (segment, name) as (values {_rows(names)})
                select names.segment, contacts.contact_id, history.rowid as episode,
                    contacts.is_touched and names.segment in ({", ".join(map(str, judged))}) as is_due
                from main.segment_history as history
                inner join names on history.segment = names.name
                inner join {_CONTACTS} as contacts on history.contact_id = contacts.id
                anti join {PAIRS} as due on names.segment = due.segment and contacts.contact_id = due.contact_id
                where history.left_at is null and history.segment in ({literals(names)})""")

    def _record(self) -> None:
        """Who was found and is no member yet enters; who is one and was not found leaves."""
        history.apply(
            self._connection,
            f"""
            with names (segment, name) as (values {_rows(self._numbers)}),
            open as (from {_OPEN} where is_due),
            turned as (
                select 'entered' as change, segment, contact_id, null::bigint as episode
                from {_FOUND} anti join open using (segment, contact_id)
                union all
                select 'left' as change, segment, contact_id, episode
                from open anti join {_FOUND} using (segment, contact_id)
            )
            select change, names.name as segment, workspace_id, contacts.id as contact_id, episode
            from turned
            inner join names on turned.segment = names.segment
            inner join {_CONTACTS} as contacts on turned.contact_id = contacts.contact_id""",
            self._as_of,
            self._run_id,
        )

    def _close(self, maybe_gone: str) -> None:
        """Nobody is a member of a segment that is not defined any more, nor is a contact that is gone."""
        defined = literals(self._segments.by_name) or "null"
        history.apply(
            self._connection,
            f"""
            select 'left' as change, segment, workspace_id, contact_id, rowid as episode
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


def _rows(names: Mapping[str, int]) -> str:
    return ", ".join(f"({number}::smallint, {literal(name)})" for name, number in names.items())


def _asks(wanted: Gathered) -> str:
    """The column that says of whom a gathered table is to tell."""
    return f"asks_{wanted.table.rpartition('.')[2]}"


def _due(numbers: Collection[int]) -> str:
    return f"select contact_id from {PAIRS} where segment in ({', '.join(map(str, numbers))})"
