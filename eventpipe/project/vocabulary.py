"""The closed lists of words that project files may use, as types and as the tuples that messages list.

A word is added here and nowhere else: the models use the types, the messages of wrong files use the tuples.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Preset = Literal["redo", "notifuse", "customerio", "arsel", "canonical"]
Format = Literal["jsonl", "json", "csv", "parquet"]
OnConflict = Literal["first_wins", "latest_wins"]
RegistryRule = Literal["open", "closed"]
IdentifierNeed = Literal["required", "optional"]
Compat = Literal["notifuse"]

KeyScope = Literal["event_name", "none"]
NameRule = Literal["notifuse", "free"]
IdentifierRule = Literal["exactly_one", "any"]

PropertyType = Literal["string", "number", "boolean", "date", "array", "object"]
GoalType = Literal["purchase", "subscription", "lead", "signup", "booking", "trial", "other"]
UnknownProperties = Literal["keep", "reject"]
Mode = Literal["enforce", "observe"]

PRESETS: Final[tuple[str, ...]] = get_args(Preset)
GOAL_TYPES: Final[tuple[str, ...]] = get_args(GoalType)
KINDS: Final = ("track", "identify", "alias", "page", "screen")
DELETIONS: Final = ("unchanged", "deleted", "restored")

NOTHINGS: Final = (
    *"null none nil undefined nan nat n/a #n/a <na> \\n unknown true false".split(),
    *("not set", "(not set)", "[object object]"),
)
"""What languages, databases, spreadsheets and analytics tools write where there is nothing, and for a flag or an object in
place of one of its fields; in lower case. It is nobody's name and no event's key."""

GOAL_TYPES_WITH_VALUE: Final = ("purchase", "subscription")
"""Goals that are worth nothing without a value."""

DEFAULT_IDENTIFIERS: Final = ("customer_id", "email", "phone", "anonymous_id")
"""The identifier types that are always there, strongest first; they are also columns of the canonical event."""

MAPPABLE_FIELDS: Final = (
    "workspace_id",
    "event_name",
    "kind",
    "occurred_at",
    *DEFAULT_IDENTIFIERS,
    "dedupe_key",
    "order_id",
    "goal_type",
    "goal_name",
    "value",
    "currency",
    "properties",
    "extra",
    "traits",
    "deleted_at",
    "previous_id",
)
"""What a source's `map` may fill, next to the declared identifier types."""

TIME_FIELDS: Final = ("occurred_at", "deleted_at")
"""The mappable fields that a `format` can apply to."""

CANONICAL_COLUMNS: Final = (
    *MAPPABLE_FIELDS,
    "source",
    "event_id",
    "raw_event_name",
    "landed_on",
    "deletion",
    "file",
    "line",
    "contact_id",
)
"""Columns of event tables: no declared identifier type may take their names, the default four excepted."""

PROPERTY_TARGETS: Final = (
    *DEFAULT_IDENTIFIERS,
    "dedupe_key",
    "order_id",
    "goal_type",
    "goal_name",
    "value",
    "currency",
)
"""The canonical fields that a property can fill with `maps_to`, next to the declared identifier types."""

DEDUPE_FIELDS: Final = ("order_id", "dedupe_key")
"""The canonical fields that `dedupe_on` accepts where no property of that name is defined."""
