"""Why two identifiers are one contact's, or what keeps them apart, from the published tables.

A chain of ties that were made leads from one to the other, each shown by the first event that carried its set; or they
are on different contacts: because one of them links nobody, because ties between the contacts were refused, or because
no event ties them at all.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb

from eventpipe.identity.blocked import blocked_sql
from eventpipe.identity.ids import id_of_identifier
from eventpipe.identity.rules import Rules
from eventpipe.sql import literal, literals

Rule = str
"""`limit:<type>` or `unlink` as in identity_conflicts; `blocked`, `shared`, `workspace`, or `nothing ties them`."""

_MOST_CONTACTS_BETWEEN = 6


@dataclass(frozen=True)
class Identifier:
    """An identifier that live events carry; `contact_id` is None where it is blocked."""

    workspace_id: str
    type: str
    value: str
    contact_id: str | None


@dataclass(frozen=True)
class Step:
    """A tie that was made, or refused by `rule`, and the first event with its set. Sides are (type, value)."""

    left: tuple[str, str]
    right: tuple[str, str]
    event_id: str | None
    occurred_at: datetime | None
    rule: Rule | None = None


@dataclass(frozen=True)
class Explanation:
    """`chain` leads from one to the other where they are `linked`; else `reasons` keep them apart."""

    one: Identifier
    other: Identifier
    verdict: Literal["linked", "apart"]
    chain: tuple[Step, ...] = ()
    reasons: tuple[Step, ...] = ()


def carried(connection: duckdb.DuckDBPyConnection, meant: Iterable[tuple[str, str]]) -> list[Identifier]:
    """Those of the (type, value) pairs that live events carry, in every workspace where they do."""
    found = []
    for kind, value in meant:
        rows = connection.execute(
            f"""
            with carrying as (
                select distinct workspace_id from events where deletion <> 'deleted' and {_carries(kind, value)}
            )
            select workspace_id, contact_id
            from carrying left join contact_aliases as aliases using (workspace_id)
            where aliases.alias_id = {id_of_identifier("workspace_id", literal(kind), literal(value))}
            union
            select workspace_id, null from carrying
            order by all nulls last
            """
        ).fetchall()
        held: dict[str, str | None] = {}
        for workspace, contact in rows:
            held.setdefault(workspace, contact)
        found += [Identifier(workspace, kind, value, contact) for workspace, contact in held.items()]
    return found


def is_blocked(connection: duckdb.DuckDBPyConnection, meant: Iterable[tuple[str, str]], rules: Rules) -> bool:
    """Whether whatever is meant never links, by the built-in list or the project's."""
    judged = [blocked_sql(literal(value), rules.blocked) for _, value in meant]
    return bool(judged) and connection.execute(f"select {' and '.join(judged)}").fetchone() == (True,)


def explain(connection: duckdb.DuckDBPyConnection, rules: Rules, one: Identifier, other: Identifier) -> Explanation:
    """What ties two identifiers, or keeps them apart."""
    sides = ((one.type, one.value), (other.type, other.value))
    if one.workspace_id != other.workspace_id:
        return Explanation(one, other, "apart", reasons=(Step(*sides, None, None, "workspace"),))
    if one.contact_id is not None and one.contact_id == other.contact_id:
        return Explanation(one, other, "linked", chain=tuple(_chain(connection, rules, one, other)))
    reasons = [
        Step(side, side, None, None, "blocked")
        for side, identifier in zip(sides, (one, other), strict=True)
        if identifier.contact_id is None
    ]
    if not reasons:
        reasons = [Step(side, side, None, None, "shared") for side in sides if is_shared(connection, rules, one, side)]
    if not reasons:
        reasons = _refusals(connection, one, other) or _common(connection, rules, one, other)
    return Explanation(one, other, "apart", reasons=tuple(reasons or [Step(*sides, None, None, "nothing ties them")]))


def _chain(connection: duckdb.DuckDBPyConnection, rules: Rules, one: Identifier, other: Identifier) -> list[Step]:
    """The ties that lead from one to the other: of all of the contact's, those that joined something."""
    start, end = (one.type, one.value), (other.type, other.value)
    by_contact = f"contact_id = {literal(one.contact_id)}"
    # Where the ties of a set were made but its events went to a contact of their own, the wider look finds them.
    for where in (by_contact, _carries_any(connection, one)):
        neighbours = _made(connection, rules, one, where)
        came_from: dict[tuple[str, str], Step | None] = {start: None}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for step in neighbours.get(here, ()):
                if step.right not in came_from:
                    came_from[step.right] = step
                    queue.append(step.right)
        if end in came_from:
            chain: list[Step] = []
            while (step_or_none := came_from[end]) is not None:
                chain.insert(0, step_or_none)
                end = step_or_none.left
            return chain
    return []


def _made(
    connection: duckdb.DuckDBPyConnection, rules: Rules, one: Identifier, where: str
) -> dict[tuple[str, str], list[Step]]:
    """The spanning forest of the contact's ties, taken in order, in both directions."""
    sets = connection.execute(
        f"""
        select identifiers, min((occurred_at, event_id)) as first_event
        from events
        where workspace_id = {literal(one.workspace_id)} and deletion <> 'deleted' and {where}
        group by identifiers order by first_event[1], identifiers
        """
    ).fetchall()
    carried_by_sets = {member for text, _ in sets for member in _members(text)}
    holders = _holders(connection, one.workspace_id, carried_by_sets)
    seen = _Seen(connection, one.workspace_id, carried_by_sets)
    group: dict[tuple[str, str], tuple[str, str]] = {}

    def find(member: tuple[str, str]) -> tuple[str, str]:
        while (above := group.setdefault(member, member)) != member:
            member = above
        return member

    found: dict[tuple[str, str], list[Step]] = {}
    for text, (occurred_at, event_id) in sets:
        # What has no contact id is blocked, and ties nothing.
        members = [member for member in _members(text) if holders.get(member) is not None]
        for strongest, member in _ties(rules, members, seen.__getitem__):
            if holders[strongest] != one.contact_id or holders[member] != one.contact_id:
                continue
            if find(strongest) != find(member):
                group[find(member)] = find(strongest)
                found.setdefault(strongest, []).append(Step(strongest, member, event_id, occurred_at))
                found.setdefault(member, []).append(Step(member, strongest, event_id, occurred_at))
    return found


def _ties(
    rules: Rules, members: list[tuple[str, str]], first_seen: Callable[[tuple[str, str]], datetime]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    strength = {each.name: place for place, each in enumerate(rules.types)}
    members = sorted({member for member in members if member[0] in strength}, key=lambda each: strength[each[0]])
    if not members:
        return
    first = [member for member in members if member[0] == members[0][0]]
    if len(first) > 1:  # of two of a type the one that was seen first is the stronger
        first.sort(key=lambda member: (first_seen(member), member[1]))
    for member in members:
        if member != first[0]:
            yield first[0], member


class _Seen(dict[tuple[str, str], datetime]):
    """Since when live events carry these identifiers: looked up at once, with the first that is asked for."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, workspace: str, members: Iterable[tuple[str, str]]
    ) -> None:
        super().__init__()
        self._connection, self._workspace, self._members = connection, workspace, sorted(members)

    def __missing__(self, member: tuple[str, str]) -> datetime:
        rows = self._connection.execute(f"""
            with members (member) as (values {", ".join(f"([{literal(k)}, {literal(v)}])" for k, v in self._members)}),
            sets as (
                select from_json(identifiers, '[["VARCHAR"]]') as carried, min(occurred_at) as first_seen_at
                from events where workspace_id = {literal(self._workspace)} and deletion <> 'deleted'
                group by identifiers
            ),
            seen as (select unnest(carried) as member, first_seen_at from sets)
            select member, min(first_seen_at) from seen semi join members using (member) group by member
            """).fetchall()
        self.update({(kind, value): at for (kind, value), at in rows})
        return self[member]


def _holders(
    connection: duckdb.DuckDBPyConnection, workspace: str, members: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The contact of each of these identifiers."""
    listed = ", ".join(f"({literal(kind)}, {literal(value)})" for kind, value in members)
    if not listed:
        return {}
    rows = connection.execute(
        f"""
        with members (identifier_type, identifier_value) as (values {listed}),
        ids as (select *, {id_of_identifier(literal(workspace))} as alias_id from members)
        select identifier_type, identifier_value, contact_id from ids join contact_aliases using (alias_id)
        """
    ).fetchall()
    return {(kind, value): contact for kind, value, contact in rows}


def is_shared(connection: duckdb.DuckDBPyConnection, rules: Rules, one: Identifier, side: tuple[str, str]) -> bool:
    """Seen with more identifiers of one stronger type than may be, or said to be shared."""
    if side in rules.shared:
        return True
    names = [each.name for each in rules.types]
    stronger = literals(names[: names.index(side[0])] if side[0] in names else ())
    if not stronger:
        return False
    # In the engine: what a value is shared by may be a million.
    found = connection.execute(
        f"""
        with company as (
            select distinct unnest(from_json(identifiers, '[["VARCHAR"]]')) as member
            from events
            where workspace_id = {literal(one.workspace_id)} and deletion <> 'deleted' and {_carries(*side)}
        ),
        linking as (
            select member[1] as kind
            from company
            where kind in ({stronger}) and not {blocked_sql("member[2]", rules.blocked)}
        )
        select bool_or(seen > {rules.shared_above}) from (select count(*) as seen from linking group by kind)
        """
    ).fetchone()
    return found == (True,)


def _refusals(connection: duckdb.DuckDBPyConnection, one: Identifier, other: Identifier) -> list[Step]:
    """The earliest refused ties on the shortest way from one contact to the other over refused ties."""
    assert one.contact_id is not None
    assert other.contact_id is not None
    came_from: dict[str, Step | None] = {one.contact_id: None}
    before: dict[str, str] = {}
    frontier = [one.contact_id]
    for _ in range(_MOST_CONTACTS_BETWEEN):
        if not frontier or other.contact_id in came_from:
            break
        here = ", ".join(literal(contact) for contact in frontier)
        rows = connection.execute(
            f"""
            select left_contact_id, right_contact_id, left_type, left_value, right_type, right_value,
                event_id, occurred_at, rule
            from identity_conflicts
            where workspace_id = {literal(one.workspace_id)}
                and (left_contact_id in ({here}) or right_contact_id in ({here}))
            order by occurred_at, event_id, right_type, right_value
            """
        ).fetchall()
        reached = []
        for left_contact, right_contact, left_type, left, right_type, right, event_id, at, rule in rows:
            step = Step((left_type, left), (right_type, right), event_id, at, rule)
            for start, end in ((left_contact, right_contact), (right_contact, left_contact)):
                if start in frontier and end not in came_from:
                    came_from[end], before[end] = step, start
                    reached.append(end)
        frontier = reached
    steps: list[Step] = []
    contact = other.contact_id
    while (found := came_from.get(contact)) is not None:
        steps.insert(0, found)
        contact = before[contact]
    return steps


def _common(connection: duckdb.DuckDBPyConnection, rules: Rules, one: Identifier, other: Identifier) -> list[Step]:
    """Identifiers that events of both contacts carry, and which do not tie them: they are blocked or shared."""
    seen = [
        {
            member
            for (text,) in connection.execute(
                f"select distinct identifiers from events where contact_id = {literal(each.contact_id)}"
                " and deletion <> 'deleted'"
            ).fetchall()
            for member in _members(text)
        }
        for each in (one, other)
    ]
    both = seen[0] & seen[1]
    holders = _holders(connection, one.workspace_id, both)
    return [
        Step(side, side, None, None, "shared" if side in holders else "blocked")
        for side in sorted(both)
        if side not in holders or is_shared(connection, rules, one, side)
    ]


def _members(text: str) -> list[tuple[str, str]]:
    return [(kind, value) for kind, value in json.loads(text)]


def _carries(kind: str, value: str) -> str:
    """A condition on `identifiers`, which is JSON as the engine writes it."""
    return f"contains(identifiers, to_json([{literal(kind)}, {literal(value)}])::varchar)"


def _carries_any(connection: duckdb.DuckDBPyConnection, one: Identifier) -> str:
    """Events that carry any identifier that stands with the contact."""
    held = connection.execute(
        "select identifier_type, identifier_value from contact_identifiers where contact_id = $1", [one.contact_id]
    ).fetchall()
    return "(" + " or ".join(_carries(kind, value) for kind, value in {*held, (one.type, one.value)}) + ")"
