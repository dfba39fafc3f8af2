"""Automations against the published tables, read-only: what would have triggered them, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb
from sqlglot import exp

from eventpipe.automations.definitions import Automations
from eventpipe.automations.grammar import Automation, EnteredTrigger, EventTrigger
from eventpipe.errors import UsageError
from eventpipe.project.refusal import hint
from eventpipe.segments.expressions import sql
from eventpipe.segments.selection import where_holds
from eventpipe.sql import literal, literals

LOOKS_BACK: Final = timedelta(days=30)


@dataclass(frozen=True)
class Matches:
    """What would trigger an automation in the 30 days before as_of: occasions, their contacts, those of the last day."""

    occasions: int
    contacts: int
    last_day: int


class PublishedAutomations:
    """The project's automations as they are defined now, over the published tables as they are, at their as_of."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, automations: Automations, as_of: datetime) -> None:
        self._connection = connection
        self._automations = automations
        self._as_of = as_of

    def named(self, name: str) -> Automation:
        """A definition. Raises UsageError where there is none of the name."""
        found = self._automations.by_name.get(name)
        if found is None:
            known = tuple(sorted(self._automations.by_name))
            raise UsageError(f"There is no automation {name!r} in automations/{hint(name, known) or '.'}")
        return found

    def matches(self, automation: Automation) -> Matches:
        """How often the trigger would have qualified lately; waits, exits and frequency come after that."""
        row = self._connection.execute(
            f"""
            select count(*), count(distinct contact_id), count(*) filter (where occurred_at > $day)
            from ({self._occasions(automation)}) where occurred_at > $since""",
            {"since": self._as_of - LOOKS_BACK, "day": self._as_of - timedelta(days=1)},
        ).fetchone()
        assert row is not None
        return Matches(*row)

    def of_contact(self, automation: Automation, contact_id: str, limit: int) -> list[tuple[str, datetime]]:
        """What a contact did that qualifies: occasion and instant, newest first."""
        return self._connection.execute(
            f"select occasion, occurred_at from ({self._occasions(automation)}) where contact_id = $1"
            f" order by occurred_at desc, occasion limit {limit}",
            [contact_id],
        ).fetchall()

    def ids_of(self, contact_id: str) -> Sequence[str]:
        """Every id that the contact ever had."""
        found = self._connection.execute(
            "select alias_id from contact_aliases where contact_id = $1 union select $1", [contact_id]
        ).fetchall()
        return [alias for (alias,) in found]

    def shown(self, contact_ids: Sequence[str]) -> dict[str, Any]:
        """Contacts by id: the best identifier that each has."""
        if not contact_ids:
            return {}
        return dict(
            self._connection.execute(
                "select contact_id, coalesce(customer_id, email, phone) from contacts"
                f" where contact_id in ({literals(contact_ids)})"
            ).fetchall()
        )

    def _occasions(self, automation: Automation) -> str:
        trigger = automation.trigger
        if isinstance(trigger, EventTrigger):
            names = self._automations.names
            tests = [*where_holds(trigger.where, names, (trigger.event,))]
            return (
                "select event_id as occasion, contact_id, occurred_at from events where"
                f" event_name = {literal(names.event(trigger.event))} and deletion <> 'deleted'"
                f" and contact_id is not null and {sql(exp.and_(*tests)) if tests else 'true'}"
            )
        at = "entered_at" if isinstance(trigger, EnteredTrigger) else "left_at"
        segment = literal(automation.awaits.partition(" ")[2])
        return (
            f"select segment as occasion, contact_id, {at} as occurred_at from segment_history"
            f" where segment = {segment} and {at} is not null"
        )
