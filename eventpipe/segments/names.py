"""The names that a definition may use: events and their properties, identifiers, RFM segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from eventpipe.project.definitions import EventDefinition, PropertyDefinition, Registry
from eventpipe.segments.grammar import ANY_GOAL

EVENT_FIELDS: Final = ("value", "currency", "order_id", "goal_type", "goal_name", "source")
"""Fields of every event that `where` reads where the event has no property of that name, or none that maps to the field."""

NUMBER_FIELDS: Final = ("event_count",)
TEXT_FIELDS: Final = ("last_intent",)
"""Columns of `contacts`, beside identifiers, that `contact` can name."""

AGE: Final = "age"
IS_ANONYMOUS: Final = "is_anonymous"
TRAIT_PREFIX: Final = "traits."

RFM_SEGMENT: Final = "segment"
RFM_NUMBERS: Final = (
    "r_score",
    "f_score",
    "m_score",
    "recency_days",
    "frequency",
    "monetary",
    "gross",
    "refunds",
    "avg_order_value",
)
RFM_SCORE: Final = "rfm_score"
RFM_OWN: Final = frozenset({"frequency", "monetary", "gross", "refunds", "avg_order_value"})
"""Measures that neither time nor other contacts' orders change."""


@dataclass(frozen=True)
class Names:
    """What the project declares, and `seen`: event names of the published catalogue with their properties' names."""

    registry: Registry
    identifiers: tuple[str, ...]
    rfm_segments: tuple[str, ...]
    currency: str
    timezone: str
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def has_column(self, identifier: str) -> bool:
        """Whether `contacts` has a column of an identifier's type, with the latest one."""
        return identifier in ("customer_id", "email", "phone")

    def event(self, written: str) -> str:
        """The canonical name: that of the definition which lists the name or alias, else the name itself."""
        return self.registry.canonical(written) or written

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Every name that the tracking plan or the published events know."""
        return tuple(dict.fromkeys((*self.registry.canonical_names, *self.seen)))

    def definitions(self, events: Iterable[str], goal: str | None = None) -> tuple[EventDefinition, ...]:
        """The definitions of these events; without any, of those that count as the goal."""
        named = tuple(dict.fromkeys(self.event(each) for each in events))
        if named:
            return tuple(self.registry.by_name[each] for each in named if each in self.registry.by_name)
        wanted = self.registry.definitions if goal is not None else ()
        return tuple(each for each in wanted if each.goal is not None and goal in (ANY_GOAL, each.goal.type))

    def properties(self, events: Iterable[str], goal: str | None = None) -> frozenset[str]:
        """The names of properties that these events are declared to have or were seen with; without any, of those that
        count as the goal, and of whatever was seen."""
        events = tuple(events)
        declared = (
            spelling
            for definition in self.definitions(events, goal)
            for each in definition.properties
            for spelling in (each.name, *each.aliases)
        )
        seen = [self.seen.get(self.event(each), frozenset()) for each in events] if events else self.seen.values()
        return frozenset(declared).union(*seen)

    def declared(self, written: str, events: Iterable[str], goal: str | None = None) -> dict[str, PropertyDefinition]:
        """By event, of these or of those that count as the goal: the property that a name in `where` is the name or an alias
        of. Others have it under the name itself, if they do."""
        return {
            definition.name: each
            for definition in self.definitions(events, goal)
            for each in definition.properties
            if written in (each.name, *each.aliases)
        }


def published_catalogue(analytics: Path) -> dict[str, frozenset[str]]:
    """Event names of the published catalogue, and the names of their properties; none before the first publish."""
    if not analytics.is_file():
        return {}
    import duckdb  # late: most commands open the published tables another way, or not at all

    try:
        with duckdb.connect(str(analytics), read_only=True) as connection:
            rows = connection.execute(
                "select event_name, list_transform(properties, lambda each: each.name) from event_catalog where events > 0"
            ).fetchall()
    except duckdb.Error:
        return {}  # unreadable, or open with other settings: names are checked against the tracking plan alone
    return {name: frozenset(properties or ()) for name, properties in rows}
