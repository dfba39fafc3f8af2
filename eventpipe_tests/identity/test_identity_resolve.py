"""The identity step on a database: solving what a run touches equals solving everything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import combinations
from pathlib import Path
from random import Random

import duckdb
import polars as pl
import pytest

from eventpipe.identity.resolve import resolve
from eventpipe.identity.rules import Rules
from eventpipe.project.folder import load_project
from eventpipe.project.identifiers import IdentifierType
from eventpipe.project.settings import EngineSettings
from eventpipe_tests.builders import project
from eventpipe_tests.identity import crowds
from eventpipe_tests.identity.crowds import TIGHT, identifier_set, moment
from eventpipe_tests.identity.reference import ByTheBook, Identifier, IdentifierSet
from eventpipe_tests.identity.reference import Rules as RulesOfTheBook

BLOCKED = "qa@shop.example"
RULES = Rules(
    types=tuple(IdentifierType(name=each.name, known=each.known, limit=each.limit) for each in TIGHT.types),
    blocked=(BLOCKED,),
    shared_above=TIGHT.shared_above,
)

SetKey = tuple[str, str]
"""Workspace and the set's text."""

Carried = dict[SetKey, datetime | None]
"""Every set that events carry, with its first live event; None where all of them are deleted."""


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; create schema work; create schema run")
        yield connection


def step(connection: duckdb.DuckDBPyConnection, touched: Carried, rules: Rules = RULES) -> None:
    """One run's identity step."""
    frame = pl.DataFrame(
        [(workspace, text, at) for (workspace, text), at in touched.items()],
        schema={
            "workspace_id": pl.String,
            "identifiers": pl.String,
            "first_occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )
    connection.register("touched", frame.to_arrow())
    connection.execute("create or replace table work.touched_sets as from touched")
    connection.unregister("touched")
    resolve(connection, rules, EngineSettings().memory)


def contacts_of_sets(connection: duckdb.DuckDBPyConnection) -> dict[SetKey, str | None]:
    found = connection.execute("select workspace_id, identifiers, contact_id from work.identity_sets").fetchall()
    answer = {(workspace, text): contact_id for workspace, text, contact_id in found}
    assert len(answer) == len(found)
    return answer


def contacts_of_identifiers(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, Identifier], str]:
    found = connection.execute(
        "select workspace_id, identifier_type, identifier_value, contact_id from work.identity_nodes"
    ).fetchall()
    answer = {(workspace, (kind, value)): contact_id for workspace, kind, value, contact_id in found}
    assert len(answer) == len(found)
    return answer


def rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[object, ...]]:
    return sorted(connection.execute(f"from {table}").fetchall(), key=repr)


def touches(random: Random, carried: Carried, pool: list[SetKey]) -> Carried:
    """What a run might change: sets come, become silent, come back, are first seen earlier or later."""
    touched: Carried = {}
    for key in random.sample(pool, random.randint(1, 12)):
        gone = key in carried and random.random() < 0.4
        touched[key] = None if gone else moment(random.randint(1, 8))
    return touched


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_solving_what_is_touched_equals_solving_everything(seed: int) -> None:
    random = Random(seed)
    pool = sorted(
        {
            (workspace, each.text)
            for workspace in ("v", "w")
            for each in crowds.crowd(random, TIGHT, most=60) + crowds.crowd(random, TIGHT, most=60)
        }
    )
    carried: Carried = {}
    with database() as step_by_step:
        for number in range(24):
            touched = touches(random, carried, pool)
            sets, identifiers = {}, {}
            if number:
                sets, identifiers = contacts_of_sets(step_by_step), contacts_of_identifiers(step_by_step)
            carried |= touched
            step(step_by_step, touched)
            with database() as in_one_go:
                step(in_one_go, carried)
                for table in ("work.identity_sets", "work.identity_nodes"):
                    assert rows(step_by_step, table) == rows(in_one_go, table), (number, table)
            assert_moves_are_told(step_by_step, sets, identifiers)


def assert_moves_are_told(
    connection: duckdb.DuckDBPyConnection,
    sets: dict[SetKey, str | None],
    identifiers: dict[tuple[str, Identifier], str],
) -> None:
    """`run.moved_sets` is what changed, and `run.moved_contacts` names everybody whom that or an identifier's move
    concerns.
    """
    now = contacts_of_sets(connection)
    expected = sorted(((*key, old, now[key]) for key, old in sets.items() if key in now and now[key] != old), key=repr)
    assert rows(connection, "run.moved_sets") == expected
    held = contacts_of_identifiers(connection)
    moved = [(key[0], contact) for key, old in sets.items() if now.get(key, old) != old for contact in (old, now[key])]
    moved += [
        (key[0], contact)
        for key, old in identifiers.items()
        if held.get(key, old) != old
        for contact in (old, held[key])
    ]
    assert set(rows(connection, "run.moved_contacts")) == set(moved)


def test_equals_the_book_through_the_database() -> None:
    random = Random(4)
    worlds = {f"w{number:02}": crowds.crowd(random, TIGHT) for number in range(60)}
    with database() as connection:
        step(
            connection,
            {(name, each.text): each.first_occurred_at for name, sets in worlds.items() for each in sets},
        )
        sets, identifiers = contacts_of_sets(connection), contacts_of_identifiers(connection)
    for name, crowd in worlds.items():
        book = ByTheBook(crowd, TIGHT)
        for identifier in book.first_seen:
            contact = book.holder(identifier)
            assert contact is not None
            assert contact.root is not None
            # A contact's id is that of its earliest-seen identifier.
            assert identifiers[name, identifier] == identifiers[name, contact.root]
        for each in crowd:
            root = book.contact_of(each).root
            if root is None:
                assert sets[name, each.text] not in identifiers.values()
            else:
                assert sets[name, each.text] == identifiers[name, root]


def one(members: Iterable[Identifier], hour: int, rules: RulesOfTheBook = TIGHT) -> IdentifierSet:
    return identifier_set(rules, members, moment(hour))


def carried(*sets: IdentifierSet) -> Carried:
    return {("w", each.text): each.first_occurred_at for each in sets}


def test_the_id_of_a_contact_is_a_function_of_its_oldest_identifier() -> None:
    device, known = one([("anonymous_id", "a1")], 1), one([("customer_id", "c1"), ("anonymous_id", "a1")], 2)
    with database() as connection:
        step(connection, carried(device))
        before = contacts_of_sets(connection)["w", device.text]
        step(connection, carried(known))
        assert set(contacts_of_sets(connection).values()) == {before}


def test_of_two_contacts_that_become_one_the_older_id_stays() -> None:
    email, customer = one([("email", "e1@shop.example")], 1), one([("customer_id", "c1")], 2)
    bridge = one([("customer_id", "c1"), ("email", "e1@shop.example")], 5)
    with database() as connection:
        step(connection, carried(email, customer))
        older = contacts_of_sets(connection)["w", email.text]
        newer = contacts_of_sets(connection)["w", customer.text]
        step(connection, carried(bridge))
        assert set(contacts_of_sets(connection).values()) == {older}
        assert rows(connection, "run.moved_sets") == [("w", customer.text, newer, older)]


def test_blocked_values_link_nobody_and_make_no_contact() -> None:
    alone = one([("email", BLOCKED)], 1)
    first = one([("customer_id", "c1"), ("email", BLOCKED)], 2)
    second = one([("customer_id", "c2"), ("email", BLOCKED)], 3)
    with database() as connection:
        step(connection, carried(alone, first, second))
        contacts = contacts_of_sets(connection)
        assert ("w", alone.text) not in contacts
        assert len(set(contacts.values())) == 2
        assert ("w", ("email", BLOCKED)) not in contacts_of_identifiers(connection)


@pytest.mark.parametrize(
    "written", ["N/A", "#N/A", "<NA>", "NaT", "nil", r"\N", "(not set)", "Unknown", "None", "guest", "-1"]
)
def test_what_tools_write_where_there_is_nobody_links_nobody(written: str) -> None:
    """Of two people whose exports say so, nothing is known of one another."""
    sets = [one([("customer_id", written), ("email", f"{name}@x.example")], n) for n, name in enumerate("ab", start=1)]
    with database() as connection:
        step(connection, carried(*sets))
        assert len(set(contacts_of_sets(connection).values())) == 2


def test_a_value_that_becomes_shared_lets_go_of_everybody() -> None:
    known = [one([("customer_id", f"c{n}"), ("anonymous_id", "kiosk")], n) for n in (1, 2, 3)]
    browsing = one([("anonymous_id", "kiosk")], 4)
    with database() as connection:
        step(connection, carried(known[0], known[1], browsing))
        contacts = contacts_of_sets(connection)
        assert contacts["w", browsing.text] == contacts["w", known[0].text]
        step(connection, carried(known[2]))
        contacts = contacts_of_sets(connection)
        assert len(set(contacts.values())) == 4


def test_workspaces_never_meet() -> None:
    same = one([("email", "e1@shop.example")], 1)
    with database() as connection:
        step(connection, {(workspace, same.text): same.first_occurred_at for workspace in ("v", "w")})
        assert len(set(contacts_of_sets(connection).values())) == 2


HOSTILE = (
    "'; drop table nodes; --",
    "customer_id:'",
    "c1",
    "C1 ",
    "email:c1",
    "phone:+14155552671",
    "(415) 555-2671",
    "anonymous_id:",
    "nobody@shop.example",
    "\u0130\u00df\U0001f600",
    "x" * 5000,
    "[*]",
    ".*",
    "%",
)


def test_no_correction_makes_the_solver_fail(tmp_path: Path) -> None:
    """Whatever identity.yml holds: texts like queries and patterns, what nobody carries, everything unlinked from all."""
    # One identifier twice is refused when it is read.
    pairs = [[one, other] for one, other in combinations(HOSTILE, 2) if {one, other} != {"c1", "C1 "}]

    made = project(tmp_path)
    (made.root / "identity.yml").write_text(
        json.dumps({"block": HOSTILE[3:], "unlink": pairs}, ensure_ascii=False), encoding="utf-8"
    )
    rules = Rules.of(load_project(made.root, {}))
    sets = carried(
        *(
            one([("customer_id", value), ("email", f"e{number}@shop.example")], 1)
            for number, value in enumerate(HOSTILE)
        ),
        one([("customer_id", "c9"), ("email", "e0@shop.example"), ("phone", "+14155552671")], 2),
        one([("anonymous_id", "%"), ("anonymous_id", "'; drop table nodes; --")], 3),
    )
    with database() as connection:
        step(connection, sets, rules)
        contacts = contacts_of_sets(connection)
        assert len(contacts) == len(sets)
        step(connection, dict(list(sets.items())[:3]), rules)
        assert contacts_of_sets(connection) == contacts


@pytest.mark.parametrize("written", ["+1 (415) 555-2671", "phone:+14155552671", " +14155552671 "])
def test_a_value_is_blocked_however_it_is_spelled_and_in_either_file(written: str, tmp_path: Path) -> None:
    in_settings = project(tmp_path / "settings", identity={"blocked": [written]})
    in_corrections = project(tmp_path / "corrections")
    (in_corrections.root / "identity.yml").write_text(json.dumps({"block": [written]}))
    for made in (in_settings, load_project(in_corrections.root, {})):
        assert "+14155552671" in Rules.of(made).blocked


def test_where_everything_is_blocked_there_is_nobody(tmp_path: Path) -> None:
    made = project(tmp_path)
    (made.root / "identity.yml").write_text(json.dumps({"block": ["c1", "e1@shop.example"], "unlink": [["c1", "a1"]]}))
    rules = Rules.of(load_project(made.root, {}))
    sets = carried(
        one([("customer_id", "c1"), ("email", "e1@shop.example")], 1), one([("email", "e1@shop.example")], 2)
    )
    with database() as connection:
        step(connection, sets)
        assert len(contacts_of_sets(connection)) == 2
        step(connection, sets, rules)
        assert (contacts_of_sets(connection), contacts_of_identifiers(connection)) == ({}, {})
