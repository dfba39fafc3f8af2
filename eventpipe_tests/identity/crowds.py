"""Random crowds of identifier sets, each in a workspace of its own, and the frames that the solver takes them in.

Few identifiers and few moments, so that sets meet, limits bite and times tie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl

from eventpipe.identity.solve import Limits
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


def frames(crowds: Mapping[str, Crowd], rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `solve` takes: sets and members of all workspaces."""
    numbered = [(workspace, each) for workspace, sets in crowds.items() for each in sets]
    sets = pl.DataFrame(
        {
            "set": range(len(numbered)),
            "workspace_id": [workspace for workspace, _ in numbered],
            "identifiers": [each.text for _, each in numbered],
            "first_occurred_at": [each.first_occurred_at for _, each in numbered],
        },
        schema_overrides={"set": pl.Int64, "first_occurred_at": pl.Datetime("us", "UTC")},
    )
    rows = [
        (number, rules.strength(member), member[1])
        for number, (_, each) in enumerate(numbered)
        for member in sorted(each.members)
    ]
    members = pl.DataFrame(
        rows,
        schema={"set": pl.Int64, "strength": pl.Int64, "identifier_value": pl.String},
        orient="row",
    )
    return sets, members


def limits(rules: Rules) -> Limits:
    return Limits(
        known=[each.known for each in rules.types],
        most=[each.limit for each in rules.types],
        shared_above=rules.shared_above,
    )
