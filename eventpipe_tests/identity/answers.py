"""The solver's answer and the reference's, in the same words: the root of each identifier, the owner of each set, the
merges and the refused ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventpipe.identity.limits import UNLINKED
from eventpipe.identity.solve import OWN_CONTACT, solve
from eventpipe_tests.identity.crowds import Crowd, coded, limits
from eventpipe_tests.identity.reference import ByTheBook, Identifier, Merge, Refusal, Rules

InWorkspace = tuple[str, Identifier]


@dataclass(frozen=True)
class Answer:
    """`roots`: each identifier with its contact's; `owners`: each set's text with its contact's root, None where it has
    a contact of its own; `shared`: identifiers that link nobody; merges and refusals of each workspace, in order.
    """

    roots: dict[InWorkspace, Identifier] = field(default_factory=dict)
    owners: dict[tuple[str, str], Identifier | None] = field(default_factory=dict)
    shared: set[InWorkspace] = field(default_factory=set)
    merges: dict[str, list[Merge]] = field(default_factory=dict)
    refused: dict[str, list[Refusal]] = field(default_factory=dict)


def solved(crowds: Mapping[str, Crowd], rules: Rules) -> Answer:
    """What `eventpipe.identity.solve` says."""
    numbers = coded(crowds, rules)
    nodes, places = numbers.nodes, numbers.places
    solution = solve(numbers.sets, limits(rules), numbers.unlinked)
    answer = Answer(merges={name: [] for name in crowds}, refused={name: [] for name in crowds})
    for node, root, shared in zip(nodes, solution.root.tolist(), solution.shared.tolist(), strict=True):
        answer.roots[node] = nodes[root][1]
        if shared:
            answer.shared.add(node)
    for (workspace, each), owner in zip(places, solution.owner.tolist(), strict=True):
        answer.owners[workspace, each.text] = None if owner == OWN_CONTACT else nodes[owner][1]
    merges = solution.merges
    for ended, stayed, place in zip(merges.ended.tolist(), merges.stayed.tolist(), merges.place.tolist(), strict=True):
        workspace, by = places[place]
        answer.merges[workspace].append(Merge(nodes[ended][1], nodes[stayed][1], by.text, by.first_occurred_at))
    ties = solution.conflicts.ties
    for left, right, place, rule in zip(
        ties.left.tolist(), ties.right.tolist(), ties.place.tolist(), solution.conflicts.rule.tolist(), strict=True
    ):
        workspace, by = places[place]
        named = "unlink" if rule == UNLINKED else f"limit:{rules.types[rule].name}"
        refusal = Refusal(nodes[left][1], nodes[right][1], named, by.text, by.first_occurred_at)
        answer.refused[workspace].append(refusal)
    return answer


def by_the_book(crowds: Mapping[str, Crowd], rules: Rules) -> Answer:
    """What the specification says."""
    answer = Answer()
    for workspace, sets in crowds.items():
        book = ByTheBook(sets, rules)
        for identifier in book.first_seen:
            contact = book.holder(identifier)
            assert contact is not None
            assert contact.root is not None
            answer.roots[workspace, identifier] = contact.root
            if book.shared(identifier):
                answer.shared.add((workspace, identifier))
        for each in sets:
            answer.owners[workspace, each.text] = book.contact_of(each).root
        answer.merges[workspace] = book.merges
        answer.refused[workspace] = book.refused
    return answer
