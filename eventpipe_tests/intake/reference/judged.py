"""A judged event by its columns in the lake, and what it is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from eventpipe_tests.intake.reference import values
from eventpipe_tests.intake.reference.presets import Fields

Definition = Mapping[str, Any]


@dataclass
class Judged:
    """An event by the lake's columns."""

    reasons: set[str] = field(default_factory=set)
    violations: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    coercions: int = 0
    workspace_id: str | None = "default"
    kind: str = "track"
    event_name: str | None = None
    raw_event_name: str | None = None
    occurred_at: datetime | None = None
    customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: str | None = None
    identifiers: list[tuple[str, str]] = field(default_factory=list)
    dedupe_key: str | None = None
    order_id: str | None = None
    order_key: str | None = None
    goal_type: str | None = None
    goal_name: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    properties: Any = None
    extra: Any = None
    traits: Any = None
    deletion: Literal["unchanged", "deleted", "restored"] = "unchanged"
    deleted_at: datetime | None = None


@dataclass(frozen=True)
class Rules:
    """What the lines of a source are judged by: its entry in eventpipe.yml, the definitions, the project's settings."""

    source: Mapping[str, Any]
    definitions: Sequence[Definition]
    settings: Mapping[str, str]

    def says(self, option: str, of_arsel: Any, of_others: Any) -> Any:
        return self.source.get(option, of_arsel if self.source.get("preset") == "arsel" else of_others)

    def instant(self, fields: Fields, name: str) -> datetime | None:
        entry = self.source.get("map", {}).get(name)
        form = entry.get("format") if isinstance(entry, dict) else None
        return values.instant(fields[name], self.source.get("timezone", self.settings["timezone"]), form)
