"""Random crowds of identifier sets, each in a workspace of its own, and the numbers that the solver takes them as.

Few identifiers and few moments, so that sets meet, limits bite and times tie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np

from eventpipe.identity.codes import Limits, Sets
from eventpipe.identity.limits import Pairs
from eventpipe_tests.identity.reference import Identifier, IdentifierSet, Rules, Type

DEFAULT = Rules(
    (
        Type("customer_id", True, 1),
        Type("email", True, 5),
        Type("phone", True, 5),
        Type("anonymous_id", False, 50),
    ),
    shared_above=10,
)
TIGHT = Rules(
    (
        Type("customer_id", True, 1),
        Type("email", True, 2),
        Type("phone", True, 1),
        Type("anonymous_id", False, 3),
    ),
    shared_above=2,
)
DEVICES = Rules(
    (
        Type("account", True, 2),
        Type("member", True, 1),
        Type("device", False, 2),
        Type("network", False, 4),
    ),
    shared_above=3,
)
PARTED = replace(
    TIGHT,
    unlinked=(
        (("customer_id", "c1"), ("email", "e2")),
        (("email", "e1"), ("email", "e2")),
        (("anonymous_id", "a1"), ("customer_id", "c2")),
        (("phone", "p1"), ("anonymous_id", "a3")),
    ),
)
"""Tight, and some things unlinked."""
LOOSE = Rules(tuple(Type(each.name, each.known, 10_000) for each in DEFAULT.types), shared_above=10_000)

Crowd = tuple[IdentifierSet, ...]

_START = datetime(2026, 1, 1, tzinfo=UTC)


def moment(hour: int) -> datetime:
    return _START + timedelta(hours=hour)


def identifier_set(rules: Rules, members: Iterable[Identifier], first_occurred_at: datetime) -> IdentifierSet:
    """The set with these members; its text is written as events write it."""
    distinct = sorted(set(members), key=lambda each: (rules.strength(each), each[1]))
    text = json.dumps([list(each) for each in distinct], separators=(",", ":"))
    return IdentifierSet(text, first_occurred_at, frozenset(distinct))


def crowd(random: Random, rules: Rules, *, most: int = 20) -> Crowd:
    """Distinct sets of one to four identifiers, sometimes two of a type, as merges have; a third of them anonymous."""
    found: dict[str, IdentifierSet] = {}
    everything = [each.name for each in rules.types]
    unknown = [each.name for each in rules.types if not each.known]
    per_type, moments = random.randint(1, 6), random.randint(1, 8)
    for _ in range(random.randint(1, most)):
        kinds = random.choices(random.choice((everything, everything, unknown)), k=random.choice((1, 2, 2, 2, 3, 4)))
        members = [(kind, f"{kind[0]}{random.randint(1, per_type)}") for kind in kinds]
        made = identifier_set(rules, members, moment(random.randint(1, moments)))
        found.setdefault(made.text, made)
    return tuple(found.values())


@dataclass(frozen=True)
class Coded:
    """Crowds as the solver takes them, and what each number stands for."""

    sets: Sets
    unlinked: Pairs
    nodes: list[tuple[str, Identifier]]
    places: list[tuple[str, IdentifierSet]]


def coded(crowds: Mapping[str, Crowd], rules: Rules) -> Coded:
    """All workspaces' sets by number: identifiers by age, sets by the order in which they are taken."""
    places = sorted(
        ((workspace, each) for workspace, sets in crowds.items() for each in sets),
        key=lambda each: (each[1].first_occurred_at, each[1].text, each[0]),
    )
    first_seen: dict[tuple[str, Identifier], datetime] = {}
    for workspace, each in places:
        for member in each.members:
            first_seen.setdefault((workspace, member), each.first_occurred_at)
    nodes = sorted(first_seen, key=lambda node: (first_seen[node], rules.strength(node[1]), node[1][1], node[0]))
    numbers = {node: number for number, node in enumerate(nodes)}
    members = [
        (place, rules.strength(member), numbers[workspace, member])
        for place, (workspace, each) in enumerate(places)
        for member in each.members
    ]
    pairs = [
        (numbers[workspace, one], numbers[workspace, other])
        for workspace in crowds
        for one, other in rules.unlinked
        if (workspace, one) in numbers and (workspace, other) in numbers and one != other
    ]
    in_order = sorted(members)
    return Coded(
        Sets(
            np.array([place for place, _, _ in in_order], dtype=np.int32),
            np.array([node for _, _, node in in_order], dtype=np.int32),
            np.array([rules.strength(identifier) for _, identifier in nodes], dtype=np.int8),
        ),
        np.array(pairs, dtype=np.int32).reshape(-1, 2),
        nodes,
        places,
    )


def limits(rules: Rules) -> Limits:
    return Limits(
        known=[each.known for each in rules.types],
        most=[each.limit for each in rules.types],
        shared_above=rules.shared_above,
    )
