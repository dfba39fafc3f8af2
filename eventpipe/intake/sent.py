"""An event as its sender wrote it: one SQL expression for each canonical field, before normalisation.

Presets and mappings both produce a `Sent`; everything after it is the same for every source.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sent:
    """SQL over the columns `j` (parsed struct) and `doc` (JSON text) of a record. `null` where nothing is sent.

    Text unless said: `value` is JSON (so that a number sent as text can be told), `properties`, `extra` and `traits`
    are JSON objects, `deletion` is null, `deleted` or `restored`, `given` counts the identifiers that were sent.
    `uncomputed` tells by field when the expression of a `map` has no value for a record.
    """

    event_name: str = "null"
    kind: str = "'track'"
    workspace_id: str = "null"
    occurred_at: str = "null"
    occurred_at_format: str | None = None
    customer_id: str = "null"
    email: str = "null"
    phone: str = "null"
    anonymous_id: str = "null"
    other_identifiers: dict[str, str] = field(default_factory=dict)
    previous: tuple[tuple[str, str], ...] = ()
    dedupe_key: str = "null"
    order_id: str = "null"
    goal_type: str = "null"
    goal_name: str = "null"
    value: str = "null"
    currency: str = "null"
    properties: str = "null"
    extra: str = "null"
    traits: str = "null"
    deletion: str = "null"
    deleted_at: str = "null"
    deleted_at_format: str | None = None
    given: str = "null"
    uncomputed: dict[str, str] = field(default_factory=dict)
