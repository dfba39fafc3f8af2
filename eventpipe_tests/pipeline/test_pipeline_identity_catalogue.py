"""The catalogue of docs/identity.md, one test per scenario, each in a workspace of its own.

All scenarios share four runs: the first exports, those that land a day later, both again with two corrections in
identity.yml, and again without them. Two runs of another project have the same events in another order and cut.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random

import duckdb
import pytest

from eventpipe.project.folder import load_project
from eventpipe_tests import builders
from eventpipe_tests.builders import event, export
from eventpipe_tests.pipeline.published import Tables, assert_same, read_table, read_tables
from eventpipe_tests.pipeline.shop import Shop

Said = dict[str, object]

CATALOGUE = Path(__file__).parents[2] / "docs" / "identity.md"
LATER = date(2026, 1, 6)


def at(hour: int, **identifiers: str) -> Said:
    """An event so many hours into 5 January, under these identifiers only."""
    return event(customer_id=None, occurred_at=f"2026-01-05T{hour:02}:00:00Z") | identifiers


def c(number: int) -> dict[str, str]:
    return {"customer_id": f"c{number}"}


def e(name: object) -> dict[str, str]:
    return {"email": f"e{name}@shop.example"}


def p(number: int) -> dict[str, str]:
    return {"phone": f"+1415555267{number}"}


def a(number: int) -> dict[str, str]:
    return {"anonymous_id": f"a{number}"}


@dataclass
class Scenarios:
    """Everybody's events: those of the first export, and those that land a day later."""

    first: list[Said] = field(default_factory=list)
    later: list[Said] = field(default_factory=list)

    def tell(self, world: str, first: Iterable[Said], later: Iterable[Said] = ()) -> None:
        for part, events in ((self.first, first), (self.later, later)):
            # With a key, an event is the same one in whatever file and line it stands.
            part += [
                said | {"workspace_id": world, "dedupe_key": f"{len(self.first)}/{len(self.later)}/{number}"}
                for number, said in enumerate(events)
            ]


def scenarios() -> Scenarios:
    told = Scenarios()
    told.tell("bridge", [at(1, **e(1)), at(2, **c(1)), at(3, **c(1), **e(1))])
    told.tell("chain", [at(1, **a(1), **e(1)), at(2, **e(1), **p(1)), at(3, **c(1), **p(1))])
    told.tell("fan-in", [at(n, **c(1), **a(n)) for n in (1, 2, 3)])
    told.tell("fan-out", [at(n, **c(n), **a(1)) for n in (1, 2, 3)])
    told.tell("diamond", [at(1, **c(1), **e(1)), at(2, **c(1), **p(1)), at(3, **e(1), **a(1)), at(4, **p(1), **a(1))])
    told.tell("late-bridge", [at(1, **e(1)), at(5, **c(1))], [at(3, **c(1), **e(1))])
    told.tell("root-replaced-by-an-older-one", [at(5, **c(1))], [at(1, **a(1)), at(6, **c(1), **a(1))])
    told.tell("shared-device", [*(at(n, **c(n), **a(1)) for n in range(1, 12)), at(12, **a(1))])
    told.tell("two-customer-ids-over-one-email", [at(1, **c(1), **e(1)), at(2, **c(2), **e(1)), at(3, **e(1))])
    told.tell("anonymous-then-known", [at(1, **a(1)), at(2, **a(1))], [at(3, **c(1), **a(1))])
    told.tell("known-then-second-device", [at(1, **c(1), **a(1)), at(2, **a(2)), at(3, **c(1), **a(2))])
    told.tell(
        "merge-followed-by-conflicting-ids",
        [at(1, **e(1)), at(2, **p(1)), at(3, **e(1), **p(1)), at(4, **c(1), **e(1)), at(5, **c(2), **p(1))],
    )
    told.tell("hub-address-with-a-thousand-customers", [at(n % 24, **c(n), **e("-hub")) for n in range(1000)])
    told.tell("unlink-and-back", [at(1, **c(1)), at(2, **e(1)), at(3, **c(1), **e(1), **a(1))])
    told.tell("blocked-value", [at(1, **c(1), **e("-till")), at(2, **c(2), **a(1)), at(3, **a(1), **e("-till"))])
    told.tell("alias", [at(1, **a(1)), at(2, **c(1)), at(3, **c(1), **a(1)) | {"kind": "alias", "event_name": "alias"}])
    return told


CORRECTIONS = """
block: [e-till@shop.example]
unlink:
  - [e1@shop.example, customer_id:c1]
"""
"""Applied to every workspace: the tests that look at the third run say which."""


@dataclass(frozen=True)
class Told:
    """What was published after each of the four runs; `changes` is contact_id_changes after the last."""

    runs: tuple[Tables, ...]
    changes: list[dict[str, object]]

    def rows(self, world: str, table: str, *columns: str, run: int = 1) -> list[tuple[object, ...]]:
        records = (each for each in self.runs[run][table].records() if each["workspace_id"] == world)
        return sorted((tuple(each[column] for column in columns) for each in records), key=repr)

    def who(self, world: str, run: int = 1) -> list[list[str]]:
        """The contacts, each as what it is known by."""
        contacts: dict[object, list[str]] = defaultdict(list)
        for contact, value in self.rows(world, "contact_identifiers", "contact_id", "identifier_value", run=run):
            contacts[contact].append(str(value).partition("@")[0])
        return sorted(map(sorted, contacts.values()))

    def holder(self, world: str, value: str, run: int = 1) -> object:
        found = self.rows(world, "contact_identifiers", "identifier_value", "contact_id", run=run)
        return next(contact for each, contact in found if each == value)

    def merges(self, world: str, run: int = 1) -> int:
        return len(self.rows(world, "contact_merges", "from_contact_id", run=run))

    def refused(self, world: str, run: int = 1) -> list[tuple[object, ...]]:
        return self.rows(world, "identity_conflicts", "left_value", "right_value", "rule", run=run)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    everything = scenarios()
    shop = Shop(builders.project(tmp_path_factory.mktemp("catalogue") / "shop"))
    root = shop.project.root
    export(shop.project, everything.first)
    runs = [shop.run()]
    export(shop.project, everything.later, day=LATER)
    runs.append(shop.run())
    (root / "identity.yml").write_text(CORRECTIONS, encoding="utf-8")
    runs.append(Shop(load_project(root, {})).run())
    (root / "identity.yml").unlink()
    runs.append(Shop(load_project(root, {})).run())
    with duckdb.connect(str(shop.project.analytics), read_only=True) as connection:
        changes = read_table(connection, "contact_id_changes").records()
    assert read_tables(shop.project.analytics) == runs[-1]
    return Told(tuple(runs), changes)


def test_bridge(told: Told) -> None:
    assert told.who("bridge") == [["c1", "e1"]]
    assert told.rows("bridge", "contact_timeline", "entry_type").count(("contact.merged",)) == 1


def test_chain(told: Told) -> None:
    assert told.who("chain") == [["+14155552671", "a1", "c1", "e1"]]
    assert told.merges("chain") == 0


def test_fan_in(told: Told) -> None:
    assert told.who("fan-in") == [["a1", "a2", "a3", "c1"]]


def test_fan_out(told: Told) -> None:
    assert told.who("fan-out") == [["a1", "c1"], ["c2"], ["c3"]]
    assert told.refused("fan-out") == [("c2", "a1", "limit:customer_id"), ("c3", "a1", "limit:customer_id")]


def test_diamond(told: Told) -> None:
    assert told.who("diamond") == [["+14155552671", "a1", "c1", "e1"]]
    assert told.merges("diamond") == 0


def test_late_bridge(told: Told) -> None:
    """What lands later happened earlier: whoever came after it was never another contact."""
    assert len(told.who("late-bridge", run=0)) == 2
    assert told.who("late-bridge") == [["c1", "e1"]]
    assert told.merges("late-bridge") == 0
    assert ("merge",) in [(each["change"],) for each in told.changes if each["workspace_id"] == "late-bridge"]


def test_root_replaced_by_an_older_one(told: Told) -> None:
    world = "root-replaced-by-an-older-one"
    old, new = told.holder(world, "c1", run=0), told.holder(world, "c1")
    assert old != new
    assert (old, new) in told.rows(world, "contact_aliases", "alias_id", "contact_id")
    assert told.rows(world, "contact_merges", "from_contact_id", "into_contact_id") == [(old, new)]


def test_shared_device(told: Told) -> None:
    assert told.who("shared-device") == [["a1"], *sorted([f"c{n}"] for n in range(1, 12))]
    assert told.refused("shared-device") == []


def test_two_customer_ids_over_one_email(told: Told) -> None:
    world = "two-customer-ids-over-one-email"
    assert told.who(world) == [["c1", "e1"], ["c2"]]
    assert told.refused(world) == [("c2", "e1@shop.example", "limit:customer_id")]
    assert told.rows(world, "contacts", "customer_id", "event_count") == [("c1", 2), ("c2", 1)]


def test_anonymous_then_known(told: Told) -> None:
    world = "anonymous-then-known"
    assert told.who(world) == [["a1", "c1"]]
    assert told.holder(world, "a1", run=0) == told.holder(world, "c1")
    assert told.rows(world, "contacts", "event_count", "is_anonymous") == [(3, False)]
    assert told.merges(world) == 0


def test_known_then_second_device(told: Told) -> None:
    world = "known-then-second-device"
    assert told.who(world) == [["a1", "a2", "c1"]]
    assert told.merges(world) == 1


def test_merge_followed_by_conflicting_ids(told: Told) -> None:
    world = "merge-followed-by-conflicting-ids"
    assert told.who(world) == [["+14155552671", "c1", "e1"], ["c2"]]
    assert told.merges(world) == 1
    assert told.refused(world) == [("c2", "+14155552671", "limit:customer_id")]


def test_hub_address_with_a_thousand_customers(told: Told) -> None:
    world = "hub-address-with-a-thousand-customers"
    assert len(told.who(world)) == 1000
    assert told.refused(world) == []


def test_unlink_and_back(told: Told) -> None:
    world = "unlink-and-back"
    assert told.who(world) == told.who(world, run=3) == [["a1", "c1", "e1"]]
    assert told.who(world, run=2) == [["a1", "c1"], ["e1"]]
    assert told.refused(world, run=2) == [("c1", "e1@shop.example", "unlink")]
    changes = sorted(str(each["change"]) for each in told.changes if each["workspace_id"] == world)
    assert changes == ["merge", "split"]
    for table in IDENTITY:
        assert told.runs[1][table] == told.runs[3][table], table


def test_blocked_value(told: Told) -> None:
    world = "blocked-value"
    assert told.who(world) == [["a1", "c2"], ["c1", "e-till"]]
    assert told.refused(world) == [("e-till@shop.example", "a1", "limit:customer_id")]
    assert told.who(world, run=2) == [["a1", "c2"], ["c1"]]
    # The event stays, with whoever is left to say whose it is.
    assert told.rows(world, "contacts", "customer_id", "event_count", run=2) == [("c1", 1), ("c2", 2)]


def test_alias(told: Told) -> None:
    assert told.who("alias") == [["a1", "c1"]]
    assert told.merges("alias") == 1


IDENTITY = ("contacts", "contact_identifiers", "contact_aliases", "contact_merges", "identity_conflicts")


def test_in_whatever_order_and_parts_the_events_land(told: Told, tmp_path: Path) -> None:
    """All scenarios at once, shuffled, in five files and two runs: what was later may land first."""
    everything = scenarios()
    events = [*everything.first, *everything.later]
    Random(5).shuffle(events)
    shop = Shop(builders.project(tmp_path))
    for part in range(5):
        export(shop.project, events[part::5], name=f"{part}.jsonl", day=LATER)
        if part in (2, 4):
            tables = shop.run()
    for name in IDENTITY:
        assert told.runs[1][name].rows.total() > 3, name
        assert_same({name: tables[name]}, {name: told.runs[1][name]}, by=("shuffled", "in order"))


def test_the_catalogue_and_these_tests_name_the_same_scenarios() -> None:
    named = re.findall(r"^\| \*\*(.+?)\*\* \|", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)
    tested = [
        name.removeprefix("test_").replace("_", " ") for name in vars(sys.modules[__name__]) if name.startswith("test_")
    ]
    assert sorted(named) == sorted(tested[:-2])
