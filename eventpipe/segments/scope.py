"""Whom a run has to judge again: contacts of whom a segment can say something else than it did at the run before.

What a condition says of a contact depends on its events, its row in `contacts` and `contact_rfm`, other segments, and
as_of, which only windows and ages look at. So they are those that runs have touched since, those for whom a window turned,
and those whose row of `contact_rfm` changed where a segment looks at it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

import duckdb
from sqlglot import exp

from eventpipe.segments.expressions import distinct, sql
from eventpipe.segments.grammar import ContactCondition, EventCondition, GoalCondition, RfmCondition, Segment, leaves
from eventpipe.segments.names import AGE, Names
from eventpipe.segments.operands import span, spans
from eventpipe.segments.profile import rfm_column
from eventpipe.segments.selection import selection
from eventpipe.segments.window import instant

QUEUE: Final = "work.unjudged_contacts"
"""Contacts that runs touched since the last judgement; the models fill it."""

SCOPE: Final = "temp.contacts_in_scope"
"""The contacts to judge again: contact_id."""


def find_contacts(
    connection: duckdb.DuckDBPyConnection,
    segments: Collection[Segment],
    names: Names,
    *,
    since: datetime,
    as_of: datetime,
) -> int:
    """Make the table of contacts to judge again for these segments, last judged at `since`. Returns how many there are."""
    found = [f"select contact_id from {QUEUE}", *_turned(segments, names, since, as_of), *_rescored(segments)]
    connection.execute(
        f"create or replace temp table {SCOPE} as select distinct contact_id from ({' union all '.join(found)})"
        " where contact_id is not null"
    )
    count = connection.execute(f"select count(*) from {SCOPE}").fetchone()
    assert count is not None
    return int(count[0])


def keep_rfm(connection: duckdb.DuckDBPyConnection, segments: Iterable[Segment]) -> None:
    """Keep a copy of what RFM conditions see, to compare the next run's with."""
    columns = ", ".join(("contact_id", "currency", *_rfm_columns(segments)))
    connection.execute(f"create or replace table work.judged_rfm as select {columns} from main.contact_rfm")


def _turned(segments: Iterable[Segment], names: Names, since: datetime, as_of: datetime) -> Iterator[str]:
    """Contacts with an event that a window lost, and those that came of an age, since then."""
    conditions: dict[timedelta, list[exp.Expr]] = {}
    ages: set[timedelta] = set()
    for leaf in (leaf for segment in segments for leaf in leaves(segment.where)):
        if isinstance(leaf, GoalCondition | EventCondition) and leaf.in_last is not None:
            conditions.setdefault(leaf.in_last, []).append(exp.and_(*selection(leaf, names)))
        elif isinstance(leaf, ContactCondition) and leaf.contact == AGE:
            ages.update(_ages(leaf))
    for length, selections in sorted(conditions.items()):
        passed = _passed("occurred_at", since - length, as_of - length)
        yield f"select contact_id from main.events where {passed} and ({sql(exp.or_(*distinct(selections)))})"
    for length in sorted(ages):
        yield f"select contact_id from main.contacts where {_passed('first_seen_at', since - length, as_of - length)}"


def _passed(column: str, since: datetime, until: datetime) -> str:
    return sql(exp.Between(this=exp.column(column), low=instant(since), high=instant(until)))


def _ages(leaf: ContactCondition) -> Iterator[timedelta]:
    yield from (span(each) for _, each in leaf.comparisons())
    if leaf.between is not None:
        yield from spans(leaf.between)


def _rescored(segments: Iterable[Segment]) -> Iterator[str]:
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


def _rfm_columns(segments: Iterable[Segment]) -> list[str]:
    """What conditions of these segments see of `contact_rfm`."""
    conditions = (leaf for segment in segments for leaf in leaves(segment.where) if isinstance(leaf, RfmCondition))
    return sorted({rfm_column(each) for each in conditions})
