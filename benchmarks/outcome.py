"""What a load produced, in three numbers that both sides must agree on.

A fast wrong answer is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from eventpipe.errors import EventpipeError

_PUBLISHED = """
select
    (select count(*) from events),
    (select count(*) from contacts),
    (select coalesce(sum(value_sum), 0)::varchar from contact_goals where goal_type = 'purchase')
"""


class NothingPublished(EventpipeError):
    """A run ended well, and yet its published tables cannot be read."""


@dataclass(frozen=True)
class Outcome:
    """Distinct events, contacts, and the sum of all purchases (one currency, USD)."""

    events: int
    contacts: int
    purchases: Decimal

    def __str__(self) -> str:
        return f"{self.events:,} events, {self.contacts:,} contacts, {self.purchases:,.2f} USD of purchases"


def published_outcome(project: Path) -> Outcome:
    """Read the numbers from the project's `analytics.duckdb`. Raises `NothingPublished`."""
    database = project / "analytics.duckdb"
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            events, contacts, purchases = connection.execute(_PUBLISHED).fetchall()[0]
    except duckdb.Error as error:
        raise NothingPublished(f"{database.name} of the run cannot be read: {error}") from error
    return Outcome(events, contacts, Decimal(purchases))
