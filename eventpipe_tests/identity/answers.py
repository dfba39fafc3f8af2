"""The solver's answer and the reference's, in the same words: the root of each identifier, the owner of each set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from eventpipe.identity.solve import OWN_CONTACT, solve
from eventpipe_tests.identity.crowds import Crowd, frames, limits
from eventpipe_tests.identity.reference import ByTheBook, Identifier, Rules

InWorkspace = tuple[str, Identifier]


@dataclass(frozen=True)
class Answer:
    """`roots`: each identifier with its contact's; `owners`: each set's text with its contact's root, None where it has
    a contact of its own; `first_seen`: when each identifier was.
    """

    roots: dict[InWorkspace, Identifier]
    owners: dict[tuple[str, str], Identifier | None]
    first_seen: dict[InWorkspace, datetime]


def solved(crowds: Mapping[str, Crowd], rules: Rules) -> Answer:
    """What `eventpipe.identity.solve` says."""
    sets, members = frames(crowds, rules)
    solution = solve(sets, members, limits(rules))
    nodes: dict[int, InWorkspace] = {}
    for row in solution.nodes.iter_rows(named=True):
        kind = rules.types[row["strength"]].name
        nodes[row["node"]] = (row["workspace_id"], (kind, row["identifier_value"]))
    texts = {row["set"]: (row["workspace_id"], row["identifiers"]) for row in sets.iter_rows(named=True)}
    return Answer(
        roots={nodes[row["node"]]: nodes[row["root"]][1] for row in solution.nodes.iter_rows(named=True)},
        owners={
            texts[row["set"]]: None if row["owner"] == OWN_CONTACT else nodes[row["owner"]][1]
            for row in solution.sets.iter_rows(named=True)
        },
        first_seen={nodes[row["node"]]: row["first_seen_at"] for row in solution.nodes.iter_rows(named=True)},
    )


def by_the_book(crowds: Mapping[str, Crowd], rules: Rules) -> Answer:
    """What the specification says."""
    answer = Answer({}, {}, {})
    for workspace, sets in crowds.items():
        book = ByTheBook(sets, rules)
        for identifier, at in book.first_seen.items():
            contact = book.holder(identifier)
            assert contact is not None
            assert contact.root is not None
            answer.roots[workspace, identifier] = contact.root
            answer.first_seen[workspace, identifier] = at
        for each in sets:
            answer.owners[workspace, each.text] = book.contact_of(each).root
    return answer
