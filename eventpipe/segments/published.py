"""Segments against the published tables, read-only: what a definition finds, changes, and says of one contact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import duckdb
from sqlglot import exp

from eventpipe.errors import UsageError
from eventpipe.project.refusal import hint
from eventpipe.segments.compile import Compiler
from eventpipe.segments.definitions import Segments
from eventpipe.segments.expressions import sql
from eventpipe.segments.grammar import (
    All,
    AnyOf,
    EventCondition,
    GoalCondition,
    Leaf,
    Node,
    Not,
    RfmCondition,
    Segment,
    leaves,
)
from eventpipe.segments.names import EVENT_FIELDS
from eventpipe.segments.query import Query, Standpoint, Tables
from eventpipe.sql import literal, literals

SAMPLE: Final = 10
_SHOWN: Final = "contact_id, customer_id, email, phone"
_SUBJECT: Final = (
    "goal",
    "goal_name",
    "event",
    "any_event",
    "contact",
    "rfm",
    "segment",
    "currency",
    "aggregate",
    "where",
)


@dataclass(frozen=True)
class Preview:
    """What a definition finds: how many of how many contacts, some of them, and the query."""

    members: int
    contacts: int
    sample: list[dict[str, Any]]
    sql: str


@dataclass(frozen=True)
class Change:
    """What publishing a definition would change: who enters, who leaves, and some of each."""

    segment: str
    state: Literal["new", "same", "changed", "removed"]
    members: int
    entering: int
    leaving: int
    entering_sample: list[dict[str, Any]]
    leaving_sample: list[dict[str, Any]]


@dataclass(frozen=True)
class Explained:
    """A condition for one contact: as it is written, the value that it looked at, whether it holds, those inside it.

    `currency` is the one that the value is about, where it is about one: money in others does not count.
    """

    condition: str
    holds: bool
    value: str | None = None
    currency: str | None = None
    inside: tuple[Explained, ...] = ()


class PublishedSegments:
    """The project's segments as they are defined now, over the published tables as they are, at their as_of."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, segments: Segments, as_of: datetime) -> None:
        self._connection = connection
        self._segments = segments
        self._as_of = as_of

    def named(self, name: str) -> Segment:
        """A definition. Raises UsageError where there is none of the name."""
        found = self._segments.by_name.get(name)
        if found is None:
            known = tuple(sorted(self._segments.by_name))
            raise UsageError(f"There is no segment {name!r} in segments/{hint(name, known) or '.'}")
        return found

    def members(self) -> dict[str, int]:
        """How many members each published segment has."""
        return dict(
            self._connection.execute("select segment, count(*) from segment_members group by segment").fetchall()
        )

    def unseen(self, segment: Segment) -> list[str]:
        """Names of events that neither a definition nor a published event has."""
        names: list[str] = []
        for leaf in leaves(segment.where):
            if isinstance(leaf, GoalCondition | EventCondition):
                names += leaf.names
            if isinstance(leaf, EventCondition) and leaf.without is not None:
                names.append(leaf.without.event)
        return [name for name in dict.fromkeys(names) if name not in self._segments.names.events]

    def unseen_properties(self, segment: Segment) -> list[str]:
        """Names in `where` that are no field, and of no property that such events are declared to have or were seen with."""
        names = self._segments.names
        found = [
            name
            for leaf in leaves(segment.where)
            if isinstance(leaf, GoalCondition | EventCondition)
            for name in leaf.where
            if name not in EVENT_FIELDS
            and name not in names.properties(leaf.names, leaf.goal if isinstance(leaf, GoalCondition) else None)
        ]
        return list(dict.fromkeys(found))

    def preview(self, name: str) -> Preview:
        """What the definition finds now."""
        query = sql(self._query(self.named(name), Tables()).members())
        found = self._connection.execute(
            f"select count(*), min(contact_id, {SAMPLE}), (select count(*) from contacts) from ({query})"
        ).fetchone()
        assert found is not None
        return Preview(int(found[0]), int(found[2]), self._contacts(found[1]), query)

    def plan(self, name: str | None = None) -> list[Change]:
        """What the definitions would change, one of them or all, in the order of their names."""
        published = self.members()
        names = {name} if name is not None else self._segments.by_name.keys() | published.keys()
        return [self._change(each, published) for each in sorted(names)]

    def explain(self, name: str, contact_id: str) -> Explained:
        """Each condition of a definition for one contact."""
        segment = self.named(name)
        for table in ("events", "contacts", "contact_identifiers", "contact_rfm"):
            self._connection.execute(
                f"create or replace temp table one_{table} as from main.{table} where contact_id = {literal(contact_id)}"
            )
        tables = Tables("temp.one_events", "temp.one_contacts", "temp.one_contact_identifiers", "temp.one_contact_rfm")
        query = self._query(segment, tables)
        row = self._connection.execute(sql(query.explained())).fetchone()
        if row is None:
            raise UsageError(f"The contact {contact_id} has no event that counts: it is a member of no segment.")
        values = iter([(row[place], bool(row[place + 1])) for place in range(1, len(row), 2)])
        return _explained(segment.where, values, self._segments.names.currency)

    def _query(self, segment: Segment, tables: Tables) -> Query:
        """The definition's query; segments that it names are asked as they are defined, not as they were published."""

        def members_of(name: str) -> exp.Select:
            return self._query(self._segments.by_name[name], tables).members()

        return Compiler(Standpoint(self._segments.names, self._as_of, tables), members_of).query(segment.where)

    def _change(self, name: str, published: dict[str, int]) -> Change:
        segment = self._segments.by_name.get(name)
        if segment is None and name not in published:
            self.named(name)
        query = (
            "select contact_id from contacts where false"
            if segment is None
            else sql(self._query(segment, Tables()).members())
        )
        found = self._connection.execute(
            f"""
            with found as materialized ({query}),
            open as (select contact_id from segment_members where segment = $name)
            select (select count(*) from found),
                (select struct_pack(n := count(*), sample := min(contact_id, {SAMPLE})) from found anti join open using (contact_id)),
                (select struct_pack(n := count(*), sample := min(contact_id, {SAMPLE})) from open anti join found using (contact_id))
            """,
            {"name": name},
        ).fetchone()
        assert found is not None
        members, entering, leaving = found
        state: Literal["new", "same", "changed", "removed"] = "same"
        if segment is None:
            state = "removed"
        elif name not in published and entering["n"]:
            state = "new"
        elif entering["n"] or leaving["n"]:
            state = "changed"
        return Change(
            name,
            state,
            int(members),
            int(entering["n"]),
            int(leaving["n"]),
            self._contacts(entering["sample"]),
            self._contacts(leaving["sample"]),
        )

    def _contacts(self, ids: list[str] | None) -> list[dict[str, Any]]:
        if not ids:
            return []
        found = self._connection.execute(
            f"select {_SHOWN} from contacts where contact_id in ({literals(ids)}) order by contact_id"
        )
        columns = [each[0] for each in found.description or []]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def _explained(node: Node, values: Iterator[tuple[str | None, bool]], currency: str) -> Explained:
    """`values` are the conditions' values in the order in which they are written; `currency` is the project's."""
    if isinstance(node, All | AnyOf):
        inside = tuple(_explained(each, values, currency) for each in (node.all if isinstance(node, All) else node.any))
        holds = all(each.holds for each in inside) if isinstance(node, All) else any(each.holds for each in inside)
        return Explained("all" if isinstance(node, All) else "any", holds, inside=inside)
    if isinstance(node, Not):
        one = _explained(node.not_, values, currency)
        return Explained("not", not one.holds, inside=(one,))
    value, holds = next(values)
    asked_in = node.asked_in(currency) if isinstance(node, GoalCondition | RfmCondition) else None
    return Explained(written(node), holds, value, asked_in)


def written(leaf: Leaf) -> str:
    """A condition as a definition would write it, on one line: what it is about first."""
    told = leaf.model_dump(by_alias=True, exclude_defaults=True)
    subject = {key: told[key] for key in _SUBJECT if key in told}
    return _flow({**subject, **told})


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    if isinstance(value, timedelta):
        hours = int(value.total_seconds()) // 3600
        return f"{hours}h" if hours % 24 else f"{hours // 24}d"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
