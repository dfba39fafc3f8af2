"""A query over contacts in parts: one step for each thing that conditions look at, and what holds of the contact."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlglot import exp

from eventpipe.segments.expressions import column, table
from eventpipe.segments.grammar import Leaf
from eventpipe.segments.names import Names
from eventpipe.segments.window import Window


@dataclass(frozen=True)
class Reading:
    """What a condition reads of events: those that count and of which `about` holds, since its window began; `tested` where
    it looks at their properties."""

    about: tuple[exp.Expr, ...]
    window: Window
    tested: bool = False


@dataclass(frozen=True)
class Tables:
    """Where the query finds what it reads."""

    events: str = "events"
    contacts: str = "contacts"
    identifiers: str = "contact_identifiers"
    rfm: str = "contact_rfm"

    def live(self, reading: Reading) -> exp.Select:
        """The events of a reading; there may be older ones among them than it needs."""
        return exp.select().from_(table(self.events, "events")).where(alive(), *reading.about)


def alive() -> exp.Expr:
    """An event that counts somewhere."""
    return exp.NEQ(this=exp.column("deletion"), expression=exp.Literal.string("deleted"))


@dataclass(frozen=True)
class Standpoint:
    """What a definition is read from: the project's names, an instant, the tables at that instant."""

    names: Names
    as_of: datetime
    tables: Tables = Tables()


@dataclass(frozen=True)
class Judged:
    """A condition of a definition: what it looks at of a contact, and whether it holds, as columns of the query."""

    leaf: Leaf
    value: exp.Expr
    holds: exp.Expr


@dataclass
class Query:
    """The parts of a query over contacts; `holds` is the whole definition."""

    tables: Tables
    steps: dict[str, exp.Select] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    holds: exp.Expr = field(default_factory=exp.true)

    def step(self, kind: str, step: exp.Select) -> str:
        """Have a select, which has one row of a contact at most, beside the contacts. Returns its name there: that of an
        equal one, if there is one."""
        same = next((name for name, each in self.steps.items() if each == step), None)
        if same is not None:
            return same
        name = f"{kind}_{len(self.steps) + 1}"
        self.steps[name] = step
        return name

    def value(self, kind: str, step: exp.Select) -> exp.Column:
        """The column `value` of such a select; null where it has no row of the contact."""
        return column(self.step(kind, step), "value")

    def members(self, *columns: str) -> exp.Select:
        """The contacts for whom it holds: their contact_id, and further columns of `contacts`."""
        return self._over_contacts(*(column("contacts", name) for name in ("contact_id", *columns))).where(self.holds)

    def explained(self) -> exp.Select:
        """Of every contact, whether it holds, and of each condition the value (text) and whether that holds."""
        shown = [exp.alias_(self.holds.copy(), "holds")]
        for place, each in enumerate(self.judged):
            shown.append(exp.alias_(exp.cast(each.value.copy(), "text"), f"value_{place}"))
            shown.append(exp.alias_(each.holds.copy(), f"holds_{place}"))
        return self._over_contacts(*shown)

    def _over_contacts(self, *columns: exp.Expr) -> exp.Select:
        query = exp.select(*columns).from_(table(self.tables.contacts, "contacts"))
        for name, step in self.steps.items():
            query = query.with_(name, step.copy(), copy=False)
            joined = exp.EQ(this=column("contacts", "contact_id"), expression=column(name, "contact_id"))
            query = query.join(exp.to_table(name), on=joined, join_type="left", copy=False)
        return query
