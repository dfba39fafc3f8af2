"""The identity step of a run: read the sets that it touches, solve what they reach, write who is who.

    work.touched_sets      in    workspace_id, identifiers, first_occurred_at (null: no live event carries the set)
    work.identity_sets     both  workspace_id, identifiers, first_occurred_at, component, alias_id, contact_id
    work.identity_nodes    both  workspace_id, identifier_type, identifier_value, first_seen_at, component, alias_id,
                                 contact_id
    run.solved_before      out   workspace_id, alias_id, identifier_type, identifier_value: what was solved anew, as it was
    run.solved_components  out   component: what it was solved to
    run.gone_aliases       out   workspace_id, alias_id: of those before, the ones whose row is another one now, or none
    run.merges, run.conflicts  out  those of the solved components, each with the set whose tie it was (`tables.tell`)
    run.moved_sets         out   workspace_id, identifiers, old_contact_id, new_contact_id
    run.moved_contacts     out   workspace_id, contact_id: who gained or lost a set or an identifier

`alias_id` is the contact id that an identifier gives, or a set of several identifiers none of which is known.

`component` names everything that ties reach before limits: whatever a new or changed set touches lies in the components
of its members, so solving those anew gives what solving everything would. Sets of deleted events are
silent: they tie nothing and have no component, but their history still shows on somebody's timeline. They are few, and
every run looks up anew who holds their identifiers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from eventpipe.identity import reached, tables
from eventpipe.identity.answers import solved
from eventpipe.identity.rules import Rules
from eventpipe.project.quantities import byte_count
from eventpipe.sql import literal


@dataclass(frozen=True)
class Resolved:
    """Figures of the step: sets and identifiers solved, merges and refused ties among them, and sets whose contact
    changed."""

    sets: int
    identifiers: int
    merges: int
    conflicts: int
    moved_sets: int


def resolve(connection: duckdb.DuckDBPyConnection, rules: Rules, memory: str) -> Resolved:
    """Solve what `work.touched_sets` reaches and bring the identity tables up to date. `memory` is the engine's limit,
    of which it leaves half to this step's arrays.
    """
    with _half_of(connection, memory):
        return _resolve(connection, rules)


@contextmanager
def _half_of(connection: duckdb.DuckDBPyConnection, memory: str) -> Iterator[None]:
    connection.execute(f"set memory_limit = '{byte_count(memory) // 2}B'")
    try:
        yield
    finally:
        connection.execute(f"set memory_limit = {literal(memory)}")


def _resolve(connection: duckdb.DuckDBPyConnection, rules: Rules) -> Resolved:
    tables.prepare(connection)
    reached.reach(connection, rules)
    answers = solved(connection, rules)
    tables.set_aside(connection)
    tables.write_nodes(connection, answers, rules)
    tables.write_sets(connection, answers, rules)
    tables.tell(connection, answers, rules)
    tables.tell_moved(connection)
    tables.forget(connection)
    reached.forget(connection)
    moved = connection.execute("select count(*) from run.moved_sets").fetchone()
    assert moved is not None
    return Resolved(
        sets=len(answers.sets["set"]),
        identifiers=len(answers.nodes["node"]),
        merges=len(answers.merged["set"]),
        conflicts=len(answers.refused["set"]),
        moved_sets=int(moved[0]),
    )
