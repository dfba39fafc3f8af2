"""The decision step of a run (spec 4): what the ops store is going to be told, in one transaction.

The first run that sees an automation activates it: what it finds then is the automation's past. So does one that finds it
waiting for something else than before. An automation that is no longer defined takes its waiting candidates with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import duckdb
import polars as pl
from sqlalchemy import Connection

from eventpipe.automations.candidates import Candidates
from eventpipe.automations.definitions import Automations
from eventpipe.automations.grammar import Automation, EventTrigger
from eventpipe.automations.judge import Judge
from eventpipe.ops import automations as ops
from eventpipe.ops import holds
from eventpipe.ops.quiet import marked


def decide(
    connection: duckdb.DuckDBPyConnection,
    store: Connection,
    automations: Automations,
    *,
    run_id: str,
    as_of: datetime,
    is_observed: bool,
    fire: bool = False,
) -> ops.Step | None:
    """Decide about every candidate. `store` only reads. None where there is nothing to decide: neither is an automation
    defined nor was one active, or the run is as of an instant before what was observed last (not `is_observed`). With
    `fire`, the past of an automation can fire too, as far back as the automation takes.
    """
    active = ops.active(store)
    if not is_observed or not (automations.definitions or active):
        return None
    activated = tuple(
        ops.Activation(each.name, each.awaits, each.version, run_id, as_of)
        for each in automations.definitions
        if each.name not in active or active[each.name].awaits != each.awaits
    )
    started = {each.automation for each in activated}
    ended = tuple(sorted(name for name in active if name in started or name not in automations.by_name))
    running = [each for each in automations.definitions if each.name not in started]

    undecided = ops.undecided(store)
    _keep(connection, undecided)
    candidates = Candidates(connection, automations.names, as_of)
    candidates.begin(undecided)
    names = {
        automations.names.event(each.trigger.event)
        for each in automations.definitions
        if isinstance(each.trigger, EventTrigger)
    }
    seen = candidates.find_events(
        [each for each in running if _is_event(each)],
        {name: ops.seen(store, name) for name in sorted(names)},
        marked(store),
    )
    candidates.find_memberships(each for each in running if not _is_event(each))
    if fire:
        _ask(candidates, store, automations.definitions)
    judge = Judge(connection, automations.names, as_of, run_id)
    decided, triggers = judge.judge(
        automations.definitions,
        started,
        holds.all_held(store),
        lambda automation, contacts: ops.last_fired(store, automation, contacts),
    )
    outgoing = frozenset(each.name for each in automations.definitions if each.deliver != "none")
    return ops.Step(run_id, as_of, activated, ended, seen, decided, triggers, outgoing)


def _ask(candidates: Candidates, store: Connection, automations: Iterable[Automation]) -> None:
    for each in automations:
        known = ops.known_occasions(store, each.name)
        if _is_event(each):
            candidates.ask_for_events(each, known)
        else:
            candidates.ask_for_memberships(each, known)


def _keep(connection: duckdb.DuckDBPyConnection, undecided: pl.DataFrame) -> None:
    connection.register("undecided_frame", undecided.to_arrow())
    connection.execute("create or replace temp table undecided as from undecided_frame")
    connection.unregister("undecided_frame")


def _is_event(automation: Automation) -> bool:
    return isinstance(automation.trigger, EventTrigger)
