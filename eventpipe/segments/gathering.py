"""What the queries of a run look at, gathered once for all of them: of the contacts that are judged, under numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from eventpipe.segments.expressions import sql, table
from eventpipe.segments.query import Query, Reading, Tables, alive

_MADE: Final = frozenset({"contact_id", "place"})
"""Columns that every table has, or that a query makes itself."""


@dataclass(frozen=True)
class Gathered:
    """A table of a run, and what to fill it with: the rows of `source` that meet the conditions."""

    table: str
    source: str
    conditions: tuple[exp.Expr, ...] = ()

    def query(self, columns: Iterable[str]) -> str:
        """The rows with their contact_id and these columns."""
        return sql(exp.select("contact_id", *columns).from_(self.source).where(*self.conditions))


@dataclass(frozen=True)
class GatheredTables(Tables):
    """Tables that queries are written over before they are there: one for each kind of events that any of them reads."""

    identifiers: str = "temp.judged_identifiers"
    rfm: str = "temp.judged_rfm"
    contacts: str = "temp.judged_contacts"
    readings: dict[tuple[str, bool], Reading] = field(default_factory=dict)

    def live(self, reading: Reading) -> exp.Select:
        """All rows of the kind's table. Properties are most of what an event weighs: those who test them have a table of
        their own."""
        kind = (sql(exp.and_(*reading.about)), reading.tested)
        window = self.readings.get(kind, reading).window.or_earlier(reading.window)
        self.readings[kind] = replace(reading, window=window)
        return exp.select().from_(table(self._table(list(self.readings).index(kind)), "events"))

    def gathered(self) -> Iterator[Gathered]:
        """Every table but that of the contacts, once all queries are written."""
        for number, reading in enumerate(self.readings.values()):
            since = reading.window.holds(exp.column("occurred_at"))
            yield Gathered(self._table(number), f"main.{self.events}", (alive(), *reading.about, *since))
        yield Gathered(self.identifiers, "main.contact_identifiers")
        yield Gathered(self.rfm, "main.contact_rfm")

    def _table(self, number: int) -> str:
        return f"temp.judged_events_{number}"


def columns_read(query: Query) -> dict[str, set[str]]:
    """By table: what a query looks at of it, beside contact_id."""
    found: dict[str, set[str]] = {}
    for step in query.steps.values():
        for read in step.find_all(exp.Table):
            columns = {column.name for column in _reader(read).find_all(exp.Column)}
            found.setdefault(f"{read.db}.{read.name}", set()).update(columns - _MADE)
    return found


def _reader(read: exp.Table) -> exp.Expr:
    """The select that reads a table and nothing else: the outermost one below a union or the query itself."""
    select = read.parent_select
    assert select is not None
    while isinstance(select.parent, exp.Subquery) and isinstance(select.parent.parent, exp.From):
        select = select.parent_select
        assert select is not None
    return select
