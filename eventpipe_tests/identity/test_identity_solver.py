"""The solver against the rules of docs/identity.md read word by word, and against networkx where no limit applies."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from random import Random

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventpipe.identity import merges
from eventpipe.identity.solve import solve
from eventpipe_tests.identity import crowds
from eventpipe_tests.identity.answers import by_the_book, solved
from eventpipe_tests.identity.crowds import DEFAULT, DEVICES, LOOSE, PARTED, TIGHT, Crowd, identifier_set, moment
from eventpipe_tests.identity.reference import ByTheBook, Identifier, Rules


@pytest.mark.parametrize("rules", [DEFAULT, TIGHT, PARTED, DEVICES], ids=["default", "tight", "parted", "devices"])
def test_equals_the_book_on_a_thousand_crowds(rules: Rules) -> None:
    random = Random(7)
    for _ in range(10):
        many = {f"w{number:03}": crowds.crowd(random, rules) for number in range(100)}
        assert solved(many, rules) == by_the_book(many, rules)


def test_contacts_with_very_many_ties_go_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is left of a contact's ties when the steps of all contacts together end."""
    monkeypatch.setattr(merges, "_TOGETHER", 2)
    random = Random(9)
    many = {f"w{number:03}": crowds.crowd(random, TIGHT) for number in range(100)}
    assert solved(many, TIGHT) == by_the_book(many, TIGHT)


def test_the_crowds_try_every_rule() -> None:
    """Where nothing is refused, shared, merged or of a contact of its own, the test above shows little."""
    random = Random(7)
    tried: Counter[str] = Counter()
    for _ in range(300):
        crowd = crowds.crowd(random, PARTED)
        book = ByTheBook(crowd, PARTED)
        tried.update({refusal.rule for refusal in book.refused})
        tried["merged"] += bool(book.merges)
        tried["merged and refused"] += bool(book.merges) and bool(book.refused)
        tried["shared"] += any(book.shared(identifier) for identifier in book.first_seen)
        tried["own contact"] += any(book.contact_of(each).root is None for each in crowd)
        tried["tied in time"] += len({each.first_occurred_at for each in crowd}) < len(crowd)
    limited = {f"limit:{each.name}" for each in PARTED.types}
    assert tried.keys() >= limited | {"unlink"}
    assert min(tried.values()) > 10, tried


@st.composite
def _crowds(draw: st.DrawFn) -> Crowd:
    identifiers = st.tuples(
        st.sampled_from([each.name for each in TIGHT.types]),
        st.sampled_from(["1", "2", "3", "é", "c1", "e1", "e2", "a1"]),
    )
    sets = draw(
        st.lists(st.tuples(st.sets(identifiers, min_size=1, max_size=4), st.integers(1, 4)), min_size=1, max_size=9)
    )
    made = (identifier_set(TIGHT, sorted(members), moment(hour)) for members, hour in sets)
    return tuple({each.text: each for each in made}.values())


@settings(max_examples=150, derandomize=True, database=None)
@given(_crowds())
def test_equals_the_book_on_what_hypothesis_thinks_of(crowd: Crowd) -> None:
    for rules in (TIGHT, PARTED):
        assert solved({"w": crowd}, rules) == by_the_book({"w": crowd}, rules)


def test_the_order_in_which_sets_are_handed_over_does_not_matter() -> None:
    random = Random(3)
    crowd = list(crowds.crowd(random, TIGHT, most=40))
    expected = solved({"w": tuple(crowd)}, TIGHT)
    for _ in range(5):
        random.shuffle(crowd)
        assert solved({"w": tuple(crowd)}, TIGHT) == expected


def test_without_limits_contacts_are_connected_components() -> None:
    random = Random(5)
    members = [
        [("customer_id", f"c{random.randint(1, 3000)}"), ("anonymous_id", f"a{random.randint(1, 3000)}")]
        for _ in range(2500)
    ]
    made = (identifier_set(LOOSE, each, moment(random.randint(1, 500))) for each in members)
    crowd = tuple({each.text: each for each in made}.values())
    answer = solved({"w": crowd}, LOOSE)
    graph = networkx.Graph([sorted(each.members) for each in crowd])
    first_seen: dict[Identifier, datetime] = {}
    for each in sorted(crowd, key=lambda each: each.first_occurred_at):
        for member in each.members:
            first_seen.setdefault(member, each.first_occurred_at)
    for component in networkx.connected_components(graph):
        root = min(component, key=lambda each: (first_seen[each], LOOSE.strength(each), each[1]))
        assert {answer.roots["w", identifier] for identifier in component} == {root}


def test_components_are_what_ties_reach_before_limits() -> None:
    """Shared values and refused ties included: whatever may change together must be solved together."""
    random = Random(11)
    for _ in range(50):
        crowd = crowds.crowd(random, TIGHT, most=30)
        numbers = crowds.coded({"w": crowd}, TIGHT)
        solution = solve(numbers.sets, crowds.limits(TIGHT), numbers.unlinked)
        graph: networkx.Graph[Identifier] = networkx.Graph()
        for each in crowd:
            first, *others = sorted(each.members)
            graph.add_node(first)
            graph.add_edges_from((first, other) for other in others)
        found: dict[int, set[Identifier]] = {}
        for (_, identifier), component in zip(numbers.nodes, solution.component.tolist(), strict=True):
            found.setdefault(component, set()).add(identifier)
        assert sorted(map(sorted, found.values())) == sorted(map(sorted, networkx.connected_components(graph)))


def test_no_contact_ever_holds_more_than_its_limits() -> None:
    random = Random(13)
    crowd = crowds.crowd(random, DEFAULT, most=2000)
    answer = solved({"w": crowd}, DEFAULT)
    for kind in DEFAULT.types:
        held: dict[Identifier, int] = {}
        for (_, (name, _)), root in answer.roots.items():
            held[root] = held.get(root, 0) + (name == kind.name)
        assert max(held.values()) <= kind.limit


@pytest.mark.parametrize("kind", ["email", "anonymous_id"])
def test_one_value_on_everybody_takes_linear_time(kind: str) -> None:
    def crowd(size: int) -> Crowd:
        poison: Identifier = (kind, "x")
        return tuple(
            identifier_set(DEFAULT, [("customer_id", f"c{number}"), poison], moment(number % 100))
            for number in range(size)
        )

    def seconds(size: int) -> float:
        numbers = crowds.coded({"w": crowd(size)}, DEFAULT)
        started = time.process_time()
        solution = solve(numbers.sets, crowds.limits(DEFAULT), numbers.unlinked)
        took = time.process_time() - started
        assert len(set(solution.root.tolist())) == size + 1
        return took

    seconds(1000)
    small, large = min(seconds(2000) for _ in range(3)), min(seconds(16_000) for _ in range(2))
    assert large < 8 * 4 * small + 0.05


def test_an_id_above_its_limit_of_devices_is_walked_in_linear_time() -> None:
    """Nothing stronger than a customer id shares it, so the limit has to be found tie by tie."""

    def seconds(size: int) -> float:
        crowd = tuple(
            identifier_set(DEFAULT, [("customer_id", "c1"), ("anonymous_id", f"a{number}")], moment(number % 100))
            for number in range(size)
        )
        numbers = crowds.coded({"w": crowd}, DEFAULT)
        started = time.process_time()
        solution = solve(numbers.sets, crowds.limits(DEFAULT), numbers.unlinked)
        took = time.process_time() - started
        assert len(set(solution.root.tolist())) == size + 1 - 50
        assert len(solution.conflicts.rule) == size - 50
        return took

    seconds(1000)
    small, large = min(seconds(2000) for _ in range(3)), min(seconds(16_000) for _ in range(2))
    assert large < 8 * 4 * small + 0.05
