"""Random definitions over random worlds against the slow reference."""

from __future__ import annotations

from functools import cache

from hypothesis import HealthCheck, given, settings

from eventpipe_tests.segments.asked import Engine
from eventpipe_tests.segments.random_worlds import AS_OF, conditions, worlds
from eventpipe_tests.segments.reference import Definition, World


@cache
def engine() -> Engine:
    """One for all examples: each shows it a world of its own."""
    return Engine(World([], [], AS_OF))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds(), where=conditions, other=conditions)
def test_members_are_those_for_whom_it_holds(world: World, where: Definition, other: Definition) -> None:
    definitions = {
        "it": where,
        "not_it": {"not": where},
        "both": {"all": [{"segment": "it"}, {"not": other}]},
    }
    engine().show(world)
    found = {name: engine().members(definitions, name) for name in definitions}
    assert found == {name: sorted(world.members(definitions, name)) for name in definitions}
    assert sorted(found["it"] + found["not_it"]) == sorted(each.contact_id for each in world.contacts)
    assert engine().finds_in_what_is_read(where) == found["it"]
    assert_explained(engine(), where, found["it"])


def assert_explained(engine: Engine, where: Definition, members: list[str]) -> None:
    """What is explained is what is judged, and each condition is true or false of everybody."""
    rows = engine.connection.execute(engine.query({"it": where}, "it").explained().sql(dialect="duckdb")).fetchall()
    assert len(rows) == len(engine.world.contacts)
    assert sum(bool(row[0]) for row in rows) == len(members)
    assert all(isinstance(holds, bool) for row in rows for holds in row[2::2])
