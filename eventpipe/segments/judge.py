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
from eventpipe.segments.compile import Compiler, Tables, sql
from eventpipe.segments.definitions import Segments, references
from eventpipe.segments.grammar import ContactCondition, EventCondition, GoalCondition, RfmCondition, Segment, leaves
from eventpipe.segments.names import AGE
from eventpipe.segments.operands import span, spans
from eventpipe.segments.window import instant

QUEUE: Final = "work.unjudged_contacts"
"""Contacts that runs touched since the last judgement; the models fill it."""

_FIXED: Final = datetime(2000, 1, 1, tzinfo=UTC)
_EVENTS: Final = "judged_events"
_SCOPE: Final = "judged_contacts"
_COLUMNS: Final = (
    "contact_id, event_id, event_name, occurred_at, goal_type, goal_name, value, currency, order_id, source, deletion"
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
        moved = history.follow_merges(self._connection, _ALIASES, self._as_of)
        whole = self._changed_segments() if last is not None else set(self._segments.by_name)
        known = [each for each in self._segments.definitions if each.name not in whole]
        judged = 0
        if known and last is not None:
            judged = self._find_contacts(known, last.as_of)
            self._judge_among(known, limited=True)
        self._judge_among([each for each in self._segments.definitions if each.name in whole], limited=False)
        self._close_removed()
        self._keep_rfm()
        counts = dict(
            self._connection.execute("select change, count(*) from run.segment_changes group by change").fetchall()
        )
        return Judgement(judged, len(whole), counts.get("entered", 0), counts.get("left", 0), moved)

    def _changed_segments(self) -> set[str]:
        stored = dict(self._connection.execute("select segment, version from work.judged_segments").fetchall())
        return {name for name, version in self.versions.items() if stored.get(name) != version}

    def _compiler(self, limited: bool) -> Compiler:
        contacts = f"temp.{_SCOPE}_rows" if limited else "main.contacts"
        tables = Tables(f"temp.{_EVENTS}", contacts, "main.contact_identifiers", "main.contact_rfm")
        return Compiler(self._segments.names, self._as_of, tables, _open_members)

    def _judge_among(self, segments: list[Segment], *, limited: bool) -> None:
        """Judge these segments, in order, among the contacts that were found, or among all."""
        if not segments:
            return
        compiler = self._compiler(limited)
        self._gather_events(compiler, segments, limited)
        if limited:
            self._connection.execute(
                f"create or replace temp table {_SCOPE}_rows as from main.contacts semi join {_SCOPE} using (contact_id)"
            )
        scope = f"history.contact_id in (select contact_id from {_SCOPE})" if limited else "true"
        for segment in segments:
            query = sql(compiler.query(segment).members())
            self._connection.execute(f"create or replace temp table found as {query}")
            history.change(self._connection, segment.name, scope, self._as_of, self._run_id)
        self._connection.execute(f"drop table found; drop table {_EVENTS}")

    def _gather_events(self, compiler: Compiler, segments: list[Segment], limited: bool) -> None:
        """One scan for all segments: the events that any of them looks at, with properties where they are looked at."""
        wanted = _distinct(each for segment in segments for each in compiler.relevant(segment))
        read = _distinct(each for segment in segments for each in compiler.reads_properties(segment))
        properties = f"if({sql(exp.or_(*read))}, properties, null)" if read else "null::varchar"
        among = f"semi join {_SCOPE} using (contact_id)" if limited else ""
        self._connection.execute(
            f"create or replace temp table {_EVENTS} as select {_COLUMNS}, {properties} as properties"
            f" from main.events {among}"
            f" where deletion <> 'deleted' and contact_id is not null and ({sql(exp.or_(*wanted)) if wanted else 'false'})"
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
        compiler = self._compiler(limited=False)
        conditions: dict[timedelta, list[exp.Expr]] = {}
        ages: set[timedelta] = set()
        for leaf in (leaf for segment in segments for leaf in leaves(segment.where)):
            if isinstance(leaf, GoalCondition | EventCondition) and leaf.in_last is not None:
                conditions.setdefault(leaf.in_last, []).append(exp.and_(*compiler.selection(leaf)))
            elif isinstance(leaf, ContactCondition) and leaf.contact == AGE:
                ages.update(_spans(leaf))
        for length, selections in sorted(conditions.items()):
            passed = self._passed("occurred_at", since, length)
            yield f"select contact_id from main.events where {passed} and ({sql(exp.or_(*_distinct(selections)))})"
        for length in sorted(ages):
            yield f"select contact_id from main.contacts where {self._passed('first_seen_at', since, length)}"

    def _passed(self, column: str, since: datetime, length: timedelta) -> str:
        edges = exp.Between(this=exp.column(column), low=instant(since - length), high=instant(self._as_of - length))
        return sql(edges)

    def _rescored(self, segments: list[Segment]) -> Iterator[str]:
        """Contacts whose RFM changed since the last judgement, where that matters."""
        if _looks_at_rfm(segments):
            yield f"""
                select contact_id from (
                    (select {_RFM} from main.contact_rfm except select {_RFM} from work.judged_rfm)
                    union all
                    (select {_RFM} from work.judged_rfm except select {_RFM} from main.contact_rfm)
                )"""

    def _keep_rfm(self) -> None:
        """A copy of what RFM conditions see, to compare the next run's with."""
        kept = _looks_at_rfm(self._segments.definitions)
        self._connection.execute(
            f"create or replace table work.judged_rfm as select {_RFM} from main.contact_rfm where {str(kept).lower()}"
        )

    def _close_removed(self) -> None:
        """Nobody is a member of a segment that is not defined any more."""
        rows = self._connection.execute(
            "select distinct segment from main.segment_history where left_at is null"
        ).fetchall()
        for (name,) in rows:
            if name not in self.versions:
                self._connection.execute(
                    "create or replace temp table found as select contact_id from main.contacts where false"
                )
                history.change(self._connection, name, "true", self._as_of, self._run_id)


_RFM: Final = (
    "contact_id, currency, r_score, f_score, m_score, rfm_score, rfm_segment, recency_days, frequency, monetary, gross,"
    " refunds, avg_order_value"
)

# A contact's id is a function of one identifier, or of one set: whoever holds that now is what the contact became.
_ALIASES: Final = """
    select workspace_id, md5(concat_ws(chr(0), 'contact', workspace_id, identifier_type, identifier_value)) as alias_id,
        contact_id
    from work.identity_nodes
    union all
    select workspace_id, md5(concat_ws(chr(0), 'set', workspace_id, identifiers)) as alias_id, contact_id
    from work.identity_sets"""


def versions(segments: Segments) -> dict[str, str]:
    """A hash of what each segment means: the query it becomes, with those of the segments that it names."""
    compiler = Compiler(segments.names, _FIXED, Tables(), _open_members)
    found: dict[str, str] = {}
    for segment in segments.definitions:
        text = sql(compiler.query(segment).members()) + "".join(found[name] for name in sorted(references(segment)))
        found[segment.name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return found


def _open_members(segment: str) -> exp.Select:
    return (
        exp.select("contact_id")
        .from_("main.segment_history")
        .where(exp.EQ(this=exp.column("segment"), expression=exp.Literal.string(segment)), "left_at is null")
    )


def _spans(leaf: ContactCondition) -> Iterator[timedelta]:
    given = (leaf.at_least, leaf.at_most, leaf.more_than, leaf.less_than, leaf.equals)
    yield from (span(each) for each in given if each is not None)
    if leaf.between is not None:
        yield from spans(leaf.between)


def _looks_at_rfm(segments: Iterable[Segment]) -> bool:
    return any(isinstance(leaf, RfmCondition) for segment in segments for leaf in leaves(segment.where))


def _distinct(conditions: Iterable[exp.Expr]) -> list[exp.Expr]:
    return list({sql(each): each for each in conditions}.values())
