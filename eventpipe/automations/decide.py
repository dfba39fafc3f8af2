"""The decision step of a run: what the ops store is going to be told, in one transaction.

The first run that sees an automation activates it: what it finds then is the automation's past. So does one that finds it
waiting for something else than before. An automation that is no longer defined takes its waiting candidates with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

import duckdb
from sqlalchemy import Connection

from eventpipe.automations.candidates import Candidates
from eventpipe.automations.definitions import Automations
from eventpipe.automations.grammar import Automation, EventTrigger
from eventpipe.automations.judge import Judge
from eventpipe.ops import automations as ops
from eventpipe.ops import holds, seen_events
from eventpipe.ops.quiet import marked


def decide(
    connection: duckdb.DuckDBPyConnection,
    store: Connection,
    automations: Automations,
    *,
    run_id: str,
    as_of: datetime,
    is_observed: bool,
    lands_the_past: bool = False,
    fire: bool = False,
) -> ops.Step | None:
    """Decide about every candidate. `store` only reads. None where there is nothing to decide: neither is an automation
    defined nor was one active, or the run is as of an instant before what was observed last (not `is_observed`). What a run
    that `lands_the_past` does to memberships triggers nothing. With `fire`, the past of an automation can fire too, as far
    back as the automation takes.
    """
    active = ops.active(store)
    if not is_observed or not (automations.definitions or active):
        return None
    activated = tuple(
        ops.Activation(each.name, each.awaits, each.version, run_id, as_of)
        for each in automations.definitions
        if each.name not in active or not automations.goes_on(each, active[each.name].awaits)
    )
    started = {each.automation for each in activated}
    ended = tuple(sorted(name for name in active if name in started or name not in automations.by_name))
    running = [each for each in automations.definitions if each.name not in started]
    changed = {each.name: each.version for each in running if each.version != active[each.name].rule_version}
    held = holds.all_held(store)
    names = {
        automations.names.event(each.trigger.event)
        for each in automations.definitions
        if isinstance(each.trigger, EventTrigger)
    }

    candidates = Candidates(connection, automations.names, as_of)
    candidates.begin(ops.undecided(store, as_of, held, {*ended, *changed}))
    # A run that decided about an event under another of its names saw what there was of it.
    decided: dict[str, set[str]] = {name: set() for name in sorted(names)}
    for name, runs in seen_events.decided_runs(store).items():
        if (called := automations.names.event(name)) in decided:
            decided[called] |= runs
    candidates.find_fresh(decided, partial(seen_events.frames, store))
    candidates.quieten(marked(store), lands_the_past=lands_the_past)
    candidates.find_events(each for each in running if _is_event(each))
    last = ops.last_run(store)
    repeats = last is not None and last.as_of == as_of
    candidates.find_memberships(
        (each for each in running if not _is_event(each)),
        lambda name: ops.known_occasions(store, name, as_of) if repeats else set(),
    )
    if fire:
        _ask(candidates, store, automations.definitions)
    judge = Judge(connection, automations.names, as_of, run_id)
    judged, triggers = judge.judge(
        automations.definitions,
        started,
        held,
        lambda automation, contacts: ops.last_fired(store, automation, contacts),
    )
    seen = candidates.fresh(sorted(names))
    outgoing = frozenset(each.name for each in automations.definitions if each.deliver != "none")
    return ops.Step(run_id, as_of, activated, ended, changed, seen, judged, triggers, outgoing)


def _ask(candidates: Candidates, store: Connection, automations: Iterable[Automation]) -> None:
    for each in automations:
        known = ops.known_occasions(store, each.name)
        if _is_event(each):
            candidates.ask_for_events(each, known)
        else:
            candidates.ask_for_memberships(each, known)


def _is_event(automation: Automation) -> bool:
    return isinstance(automation.trigger, EventTrigger)
