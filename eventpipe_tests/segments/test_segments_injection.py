"""Whatever stands in a definition's strings is compared with, never run (definitions are data, never SQL)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from eventpipe.segments.expressions import sql
from eventpipe_tests.segments.asked import Engine
from eventpipe_tests.segments.reference import Contact, Event, World

AS_OF = datetime(2026, 4, 1, tzinfo=UTC)

ATTACKS = [
    "'; drop table events; --",
    "' or '1' = '1",
    "') or true or ('",
    '"; drop table contacts; --',
    "\\'; select 1; --",
    "\\",
    "''",
    "$1",
    "?",
    "{{ x }}",
    "/* */",
    "-- ",
    "x' union select contact_id from contacts --",
    "read_csv('/etc/passwd')",
    "\u2019; drop table events",
    "%",
    "_",
    "\n; drop table events;\n",
    "$.*",
    "*",
    "[*]",
    '"',
    "\x01",
]


def definitions(text: str) -> dict[str, dict[str, Any]]:
    """The text in each place of the grammar that takes one. (Names of segments, currencies,
    identifiers and RFM scores are plain.)"""
    name = text.strip()
    return {
        "event": {"event": name},
        "any": {"any_event": [name, "order.completed"], "at_least": 2},
        "without": {"event": "order.completed", "without": {"event": name, "after": "it"}},
        "goal": {"goal": "purchase", "goal_name": name},
        "goal_event": {"goal": "purchase", "event": name},
        "property": {"event": "order.completed", "where": {text: "x"}},
        "eq": {"event": "order.completed", "where": {"category": text}},
        "in": {"event": "order.completed", "where": {"category": [text, "y"]}},
        "ne": {"event": "order.completed", "where": {"category": {"ne": text}}},
        "contains": {"event": "order.completed", "where": {"category": {"contains": text}}},
        "starts": {"event": "order.completed", "where": {"category": {"starts_with": text}}},
        "trait": {"contact": f"traits.{text}", "equals": "x"},
        "trait_value": {"contact": "plan", "equals": text},
    }


@pytest.mark.parametrize("text", ATTACKS)
def test_it_is_only_a_text(text: str) -> None:
    name = text.strip()
    theirs = Event(
        "told", "e1", name, AS_OF, "purchase", name, Decimal(1), "USD", properties={"category": text, text: "x"}
    )
    other = Event(
        "plain", "e2", "order.completed", AS_OF, "purchase", None, Decimal(1), "USD", properties={"category": "x"}
    )
    own = Event("both", "e3", "order.completed", AS_OF, properties={"category": text, text: "x"})
    contacts = [
        Contact("told", AS_OF, traits={"plan": text, text: "x"}),
        Contact("plain", AS_OF, traits={"plan": "x"}),
        Contact("both", AS_OF),
    ]
    world = World(contacts, [theirs, other, own], AS_OF)
    engine = Engine(world)
    before = engine.connection.execute("select count(*), (select count(*) from contacts) from events").fetchone()
    all_definitions = definitions(text)
    for name in all_definitions:
        query = engine.query(all_definitions, name)
        assert len(engine.connection.extract_statements(sql(query.members()))) == 1
        assert engine.members(all_definitions, name) == sorted(world.members(all_definitions, name)), name
        engine.connection.execute(sql(query.explained())).fetchall()
        sql(query.members(), "spark")
    assert (
        engine.connection.execute("select count(*), (select count(*) from contacts) from events").fetchone() == before
    )
    engine.close()
