"""The segment stage of a run: who enters and who leaves (spec 3, "Segments").

Judged again are contacts that the run touches, those for whom a window turned since the last judgement, and those whose
RFM row changed where a segment looks at it; for a new or changed segment, everyone. The result equals judging everyone:
what a condition says of a contact depends on its events, its row in `contacts` and `contact_rfm`, other segments, and
as_of, which only windows and ages look at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
from sqlglot import exp

from eventpipe.ops import memberships, runs
from eventpipe.ops.store import OpsStore
from eventpipe.segments import history
from eventpipe.segments.compile import Compiler, Query, Tables, distinct, rfm_column, sql
from eventpipe.segments.definitions import Segments, references
from eventpipe.segments.grammar import ContactCondition, EventCondition, GoalCondition, RfmCondition, Segment, leaves
from eventpipe.segments.names import AGE
from eventpipe.segments.operands import span, spans
from eventpipe.segments.window import instant
from eventpipe.sql import literal, literals

QUEUE: Final = "work.unjudged_contacts"
"""Contacts that runs touched since the last judgement; the models fill it."""

_TABLES: Final = Tables("temp.judged_events", "temp.judged_contacts", "temp.judged_identifiers", "temp.judged_rfm")
"""What the queries read: of the contacts that are judged, under numbers instead of their ids."""

_FOUND: Final = "temp.found_members"
_OPEN: Final = "temp.open_members"
_SCOPE: Final = "temp.contacts_in_scope"
_FIXED: Final = datetime(2000, 1, 1, tzinfo=UTC)
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
            judged = self._find_contacts(known, last.as_of)
            if judged:
                self._judge_among(known, f"semi join {_SCOPE} using (contact_id)")
        self._judge_among([each for each in self._segments.definitions if each.name in whole], "")
        self._close(maybe_gone)
        self._keep_rfm()
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
                return exp.select("contact_id").from_(f"{_OPEN}").where(_equals("segment", name))
            return exp.select("contact_id").from_(_FOUND).where(f"segment = {numbers[name]}")

        compiler = Compiler(self._segments.names, self._as_of, _TABLES, members_of)
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
        reading = Compiler(self._segments.names, self._as_of, Tables(), _nobody).reads(segments, columns)
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

    def _find_contacts(self, segments: list[Segment], since: datetime) -> int:
        """The table of contacts to judge again; how many there are."""
        found = [f"select contact_id from {QUEUE}", *self._turned(segments, since), *self._rescored(segments)]
        self._connection.execute(
            f"create or replace temp table {_SCOPE} as select distinct contact_id from ({' union all '.join(found)})"
            " where contact_id is not null"
        )
        count = self._connection.execute(f"select count(*) from {_SCOPE}").fetchone()
        assert count is not None
        return int(count[0])

    def _turned(self, segments: list[Segment], since: datetime) -> Iterator[str]:
        """Contacts with an event that a window lost, and those that came of an age, since then."""
        compiler = Compiler(self._segments.names, self._as_of, _TABLES, _nobody)
        conditions: dict[timedelta, list[exp.Expr]] = {}
        ages: set[timedelta] = set()
        for leaf in (leaf for segment in segments for leaf in leaves(segment.where)):
            if isinstance(leaf, GoalCondition | EventCondition) and leaf.in_last is not None:
                conditions.setdefault(leaf.in_last, []).append(exp.and_(*compiler.selection(leaf)))
            elif isinstance(leaf, ContactCondition) and leaf.contact == AGE:
                ages.update(_spans(leaf))
        for length, selections in sorted(conditions.items()):
            passed = self._passed("occurred_at", since, length)
            yield f"select contact_id from main.events where {passed} and ({sql(exp.or_(*distinct(selections)))})"
        for length in sorted(ages):
            yield f"select contact_id from main.contacts where {self._passed('first_seen_at', since, length)}"

    def _passed(self, column: str, since: datetime, length: timedelta) -> str:
        edges = exp.Between(this=exp.column(column), low=instant(since - length), high=instant(self._as_of - length))
        return sql(edges)

    def _rescored(self, segments: list[Segment]) -> Iterator[str]:
        """Contacts whose RFM changed since the last judgement, in what these segments look at."""
        seen = _rfm_columns(segments)
        if seen:
            columns = ", ".join(("contact_id", "currency", *seen))
            yield f"""
                select contact_id from (
                    (select {columns} from main.contact_rfm except select {columns} from work.judged_rfm)
                    union all
                    (select {columns} from work.judged_rfm except select {columns} from main.contact_rfm)
                )"""

    def _keep_rfm(self) -> None:
        """A copy of what RFM conditions see, to compare the next run's with."""
        columns = ", ".join(("contact_id", "currency", *_rfm_columns(self._segments.definitions)))
        self._connection.execute(f"create or replace table work.judged_rfm as select {columns} from main.contact_rfm")

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


def versions(segments: Segments) -> dict[str, str]:
    """A hash of what each segment means: the query it becomes, with those of the segments that it names."""
    compiler = Compiler(segments.names, _FIXED, Tables(), _nobody)
    found: dict[str, str] = {}
    for segment in segments.definitions:
        text = sql(compiler.query(segment.where).members()) + "".join(
            found[name] for name in sorted(references(segment))
        )
        found[segment.name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return found


def _nobody(segment: str) -> exp.Select:
    """Stands for the members of another segment where only its name matters."""
    return exp.select("contact_id").from_("segment_members").where(_equals("segment", segment))


def _equals(column: str, value: str) -> exp.Expr:
    return exp.EQ(this=exp.column(column), expression=exp.Literal.string(value))


def _tables(query: Query) -> Iterator[exp.Table]:
    for step in query.steps.values():
        yield from step.find_all(exp.Table)


def _spans(leaf: ContactCondition) -> Iterator[timedelta]:
    given = (leaf.at_least, leaf.at_most, leaf.more_than, leaf.less_than, leaf.equals)
    yield from (span(each) for each in given if each is not None)
    if leaf.between is not None:
        yield from spans(leaf.between)


def _rfm_columns(segments: Iterable[Segment]) -> list[str]:
    """What conditions of these segments see of `contact_rfm`."""
    conditions = (leaf for segment in segments for leaf in leaves(segment.where) if isinstance(leaf, RfmCondition))
    return sorted({rfm_column(each) for each in conditions})
