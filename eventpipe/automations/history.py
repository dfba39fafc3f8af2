"""Decisions and triggers in the working database, as they are published: the ops store remembers, these tables show.

    main.trigger_decisions    one row per automation and occasion
    main.automation_triggers  one row per fired trigger
    work.decided_run          one row: the run up to which both tables hold what the ops store does

Lost, or behind the ops store, they are read back from it. Contacts are shown under their ids of now, and a candidate that
waits under the contact that has its event now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import duckdb
import polars as pl
from sqlalchemy import Connection

from eventpipe.ops import automations as ops
from eventpipe.sql import identifier, literal

TABLES: Final = {
    "trigger_decisions": "Decisions about candidates of automations, as runs made them. Grain: automation and occasion.",
    "automation_triggers": "Triggers that fired. Grain: trigger_id.",
}
"""The tables with their descriptions."""

_COMMENTS: Final = {
    "automation": "Name of the automation.",
    "occasion": "What it was about: the event's id, or segment, contact and instant of a change of membership.",
    "workspace_id": "The workspace that the row belongs to.",
    "contact_id": "The contact, derived from its earliest-seen identifier.",
    "event_id": "The event; null for a change of membership.",
    "event_name": "Its name.",
    "source": "Its source.",
    "segment": "The segment that was entered or left; null for an event.",
    "occurred_at": "When the event happened, or as_of of the run that saw the change of membership, UTC.",
    "due_at": "When its wait is over, UTC.",
    "decided_at": "as_of of the run that decided last, UTC.",
    "status": "fired, waiting, held (by the audit) or skipped.",
    "reason": "Why not: exited, frequency, too_late, condition, held, erased or inactive; null when it fired or waits.",
    "detail": "The reason in words.",
    "trigger_id": "The trigger that fired: also the webhook-id of its delivery.",
    "rule_version": "Version of the automation's rule that decided.",
    "run_id": "The run that decided last.",
    "fired_at": "as_of of the run in which it fired, UTC.",
    "payload": "What it carries, a JSON object.",
}
_TYPES: Final = {pl.String(): "varchar", pl.Datetime("us", "UTC"): "timestamptz"}
_SCHEMAS: Final = {"trigger_decisions": ops.DECISION_SCHEMA, "automation_triggers": ops.TRIGGER_SCHEMA}
_KEYS: Final = {"trigger_decisions": "automation, occasion", "automation_triggers": "trigger_id"}
_READ: Final[dict[str, Callable[[Connection, str | None], Iterator[pl.DataFrame]]]] = {
    "trigger_decisions": ops.decided,
    "automation_triggers": ops.triggers,
}


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables where they are not there yet, empty."""
    connection.execute("create schema if not exists work")
    for name, schema in _SCHEMAS.items():
        columns = ", ".join(
            f"{column} {_TYPES[pl.DataFrame(schema={column: kind}).schema[column]]}" for column, kind in schema.items()
        )
        connection.execute(f"create table if not exists main.{name} ({columns})")
        connection.execute(f"comment on table main.{name} is {literal(TABLES[name])}")
        for column in schema:
            connection.execute(f"comment on column main.{name}.{identifier(column)} is {literal(_COMMENTS[column])}")
    connection.execute("create table if not exists work.decided_run (run_id varchar)")


def sync(connection: duckdb.DuckDBPyConnection, store: Connection, before: str | None) -> None:
    """Bring the tables up to the ops store: what its last run decided, when they hold all `before` it, else everything."""
    last = ops.last_run(store)
    held = connection.execute("select run_id from work.decided_run").fetchone()
    connection.execute("begin")
    try:
        if last is not None and held != (last.run_id,):
            is_next = held is not None and before is not None and held == (before,)
            for name, read in _READ.items():
                if not is_next:
                    connection.execute(f"delete from main.{name}")
                for frame in read(store, last.run_id if is_next else None):
                    _put(connection, name, frame)
            connection.execute("delete from work.decided_run")
            connection.execute("insert into work.decided_run values ($1)", [last.run_id])
        for name in _SCHEMAS:
            connection.execute(f"""
                update main.{name} as told set contact_id = aliases.contact_id
                from main.contact_aliases as aliases
                where told.workspace_id = aliases.workspace_id and told.contact_id = aliases.alias_id
                    and told.contact_id <> aliases.contact_id""")
        # An event can also move by itself, to a contact that never had the other one's id: then this run has written it.
        connection.execute("""
            update main.trigger_decisions as told set contact_id = written.contact_id
            from (from main.events where run_id = (select run_id from run.parameters)) as written
            where told.status in ('waiting', 'held') and told.event_id = written.event_id
                and told.contact_id <> written.contact_id""")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _put(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> None:
    connection.register("told_frame", frame.to_arrow())
    keys = _KEYS[name]
    connection.execute(f"delete from main.{name} where ({keys}) in (select ({keys}) from told_frame)")
    connection.execute(f"insert into main.{name} by name from told_frame")
    connection.unregister("told_frame")
