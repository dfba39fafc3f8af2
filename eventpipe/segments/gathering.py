"""What the queries of a run look at, gathered once for all of them: of the contacts that are judged, under numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from eventpipe.segments.expressions import sql, table
from eventpipe.segments.query import Query, Tables, alive
from eventpipe.segments.window import Window

_MADE: Final = frozenset({"contact_id", "place"})
"""Columns that every table has, or that a query makes itself."""


@dataclass(frozen=True)
class Gathered:
    """A table of a run, and what to fill it with: the rows of `source` of which `about` holds."""

    table: str
    source: str
    about: tuple[exp.Expr, ...] = ()
    since: Window = Window()

    def query(self, columns: Iterable[str]) -> str:
        """The rows with their contact_id and these columns."""
        since = self.since.holds(exp.column("occurred_at"))
        return sql(exp.select("contact_id", *columns).from_(self.source).where(*self.about, *since))


@dataclass(frozen=True)
class GatheredTables(Tables):
    """Tables that queries are written over before they are there: each kind of events that one asks for is a table."""

    identifiers: str = "temp.judged_identifiers"
    rfm: str = "temp.judged_rfm"
    contacts: str = "temp.judged_contacts"
    kinds: dict[tuple[str, bool], Gathered] = field(default_factory=dict)

    def events_about(self, about: Sequence[exp.Expr], window: Window, *, tested: bool = False) -> exp.Select:
        """All rows of the kind's table, which has what happened since the earliest window that was asked for began.

        Properties are most of what an event weighs: those who look at them have a table of their own.
        """
        key = (sql(exp.and_(*about)), tested)
        kind = self.kinds.get(key)
        if kind is None:
            name = f"temp.judged_events_{len(self.kinds)}"
            kind = Gathered(name, f"main.{self.events}", (alive(), *about), window.since())
        self.kinds[key] = replace(kind, since=kind.since.or_earlier(window))
        return exp.select().from_(table(kind.table, "events"))

    def gathered(self) -> Iterator[Gathered]:
        """Every table but that of the contacts."""
        yield from self.kinds.values()
        yield Gathered(self.identifiers, "main.contact_identifiers")
        yield Gathered(self.rfm, "main.contact_rfm")


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
