"""What the lines of exports say, once in the words of the canonical event and once in the vendors' own.

A `Report` is what a test knows of a line; `line_of` writes it as the preset of its source reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Identifier = tuple[str, str]
Deletion = Literal["unchanged", "deleted", "restored"]
Preset = Literal["canonical", "notifuse", "redo"]


@dataclass(frozen=True)
class Report:
    """One line. `world` is its workspace; `identifiers` are (type, value), strongest first; `order_key` is what is one event
    across sources.
    """

    world: str
    source: str
    event_name: str
    occurred_at: datetime
    identifiers: tuple[Identifier, ...]
    key: str | None = None
    order_id: str | None = None
    order_key: str | None = None
    goal_type: str | None = None
    goal_name: str | None = None
    value: Decimal | None = None
    currency: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    deletion: Deletion = "unchanged"
    deleted_at: datetime | None = None

    @property
    def has_goal(self) -> bool:
        return self.goal_type is not None or self.goal_name is not None or self.value is not None

    def identifier(self, kind: str) -> str | None:
        return dict(self.identifiers).get(kind)


@dataclass(frozen=True, order=True)
class Place:
    """Where a report landed; the order is that of landing."""

    landed_on: date
    file: str
    line: int
    source: str
    index: int = 0


@dataclass(frozen=True)
class Landed:
    """A report in its place."""

    place: Place
    report: Report


def as_order(report: Report, order_id: str, value: Decimal) -> Report:
    """The report as one of an order, or as a refund, which is no report of it: it tells its id and total as properties, which the
    definition maps."""
    key = order_id if value >= 0 else None
    told = {**report.properties, "order_id": order_id, "total": float(value)}
    return replace(report, order_id=order_id, order_key=key, goal_type="purchase", value=value, properties=told)


def line_of(report: Report, preset: Preset) -> bytes:
    """The report as a JSON line in the preset's own field names."""
    made = {"canonical": _canonical, "notifuse": _notifuse, "redo": _redo}[preset](report)
    return json.dumps(made, ensure_ascii=False).encode() + b"\n"


def _canonical(report: Report) -> dict[str, Any]:
    return _given(
        workspace_id=report.world,
        event_name=report.event_name,
        occurred_at=report.occurred_at.isoformat(),
        dedupe_key=report.key,
        properties=dict(report.properties) or None,
        **dict(report.identifiers),
        **({} if _is_order(report) else _goal(report, value="value")),
        currency=report.currency if report.value is not None else None,
    ) | _deletion(report)


def _notifuse(report: Report) -> dict[str, Any]:
    return _given(
        workspace_id=report.world,
        event_name=report.event_name,
        external_id=report.key,
        email=report.identifier("email"),
        occurred_at=report.occurred_at.isoformat(),
        properties=dict(report.properties) or None,
        **({} if _is_order(report) else _goal(report, value="goal_value")),
    ) | _deletion(report)


def _redo(report: Report) -> dict[str, Any]:
    names = {"customer_id": "id", "email": "email", "phone": "phoneNumber"}
    return _given(
        workspace=report.world,
        eventName=report.event_name,
        customer={names[kind]: value for kind, value in report.identifiers},
        data=dict(report.properties) or None,
        eventTimestamp=report.occurred_at.isoformat(),
        uniqueId=report.key,
        valueCurrency=report.currency if report.value is not None else None,
    )


def _is_order(report: Report) -> bool:
    return report.order_id is not None


def _goal(report: Report, *, value: str) -> dict[str, Any]:
    return {
        "goal_type": report.goal_type,
        "goal_name": report.goal_name,
        value: None if report.value is None else float(report.value),
    }


def _deletion(report: Report) -> dict[str, Any]:
    if report.deletion == "unchanged":
        return {}
    return {"deleted_at": None if report.deleted_at is None else report.deleted_at.isoformat()}


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
