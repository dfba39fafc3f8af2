"""Random definitions over random worlds against the slow reference (spec 3, "Segments")."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from eventpipe_tests.segments.asked import Engine
from eventpipe_tests.segments.random_worlds import conditions, worlds
from eventpipe_tests.segments.reference import Definition, World

_SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_SETTINGS
@given(world=worlds(), where=conditions, other=conditions)
def test_members_are_those_for_whom_it_holds(world: World, where: Definition, other: Definition) -> None:
    definitions = {
        "it": where,
        "not_it": {"not": where},
        "other": other,
        "both": {"all": [{"segment": "it"}, {"not": {"segment": "other"}}]},
    }
    engine = Engine(world)
    try:
        everyone = sorted(each.contact_id for each in world.contacts)
        for name in definitions:
            assert engine.members(definitions, name) == sorted(world.members(definitions, name)), name
        members, others = engine.members(definitions, "it"), engine.members(definitions, "not_it")
        assert sorted(members + others) == everyone
    finally:
        engine.close()


@_SETTINGS
@given(world=worlds(), where=conditions)
def test_what_is_explained_is_what_is_judged(world: World, where: Definition) -> None:
    engine = Engine(world)
    try:
        query = engine.query({"it": where}, "it")
        rows = engine.connection.execute(query.explained().sql(dialect="duckdb")).fetchall()
        assert sum(bool(row[0]) for row in rows) == len(engine.finds(where))
        assert len(rows) == len(world.contacts)
        assert all(isinstance(holds, bool) for row in rows for holds in row[2::2])
    finally:
        engine.close()
