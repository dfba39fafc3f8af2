"""An automation as a typed tree: everything that a definition can say, and nothing else.

    automation = trigger [wait] [unless] [only_if] [frequency] [max_lateness] [payload] [deliver]
    trigger    = event [where] | segment_entered | segment_left

Conditions are those of segments. What needs the project, or two keys at once, is checked in
`eventpipe.automations.findings`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from eventpipe.project.definitions import Name
from eventpipe.project.quantities import duration
from eventpipe.project.refusal import Refusal
from eventpipe.project.validation import REFUSED, Section
from eventpipe.segments.grammar import Condition, DefinitionName, Where, some

TRIGGERS: Final = ("event", "segment_entered", "segment_left")
_LONGEST: Final = timedelta(days=3660)


def _length(written: object) -> timedelta:
    found = duration(written)
    if found > _LONGEST:
        raise Refusal("a duration of at most ten years")
    return found


def _some_time(found: timedelta) -> timedelta:
    if not found:
        raise Refusal("a duration of some length")
    return found


Length = Annotated[timedelta, BeforeValidator(_length)]
"""`90s`, `30m`, `1h`, `7d` or `4w`."""


class EventTrigger(Section):
    """A new event of a name, whose properties pass the tests."""

    union_tag: ClassVar[str] = "#event"

    event: Name
    where: Where = Field(default_factory=dict)


class EnteredTrigger(Section):
    """A contact becomes a member of a segment."""

    union_tag: ClassVar[str] = "#segment_entered"

    segment_entered: Name


class LeftTrigger(Section):
    """A contact is a member of a segment no longer."""

    union_tag: ClassVar[str] = "#segment_left"

    segment_left: Name


def _kind_of_trigger(trigger: Any) -> str | None:
    if isinstance(trigger, dict):
        return next((f"#{kind}" for kind in TRIGGERS if kind in trigger), None)
    return getattr(trigger, "union_tag", None)


Trigger = Annotated[
    Annotated[EventTrigger, Tag(EventTrigger.union_tag)]
    | Annotated[EnteredTrigger, Tag(EnteredTrigger.union_tag)]
    | Annotated[LeftTrigger, Tag(LeftTrigger.union_tag)],
    Discriminator(
        _kind_of_trigger,
        custom_error_type=REFUSED,
        custom_error_message="no trigger",
        custom_error_context={"expected": "a trigger: begin with one of " + ", ".join(TRIGGERS)},
    ),
]


class Exit(Section):
    """An event since the trigger that makes it pointless; with `match`, one that has the same values of these."""

    event: Name | None = None
    any_event: Annotated[tuple[Name, ...], AfterValidator(some)] | None = None
    where: Where = Field(default_factory=dict)
    match: tuple[Name, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The events' names as written."""
        return (self.event,) if self.event is not None else self.any_event or ()


class Every(Section):
    """At most one trigger of a contact in so long."""

    union_tag: ClassVar[str] = "#every"

    every: Annotated[Length, AfterValidator(_some_time)]


def _kind_of_frequency(frequency: Any) -> str:
    return Every.union_tag if isinstance(frequency, dict | Every) else "#word"


def _word(written: object) -> object:
    if written not in ("once", "every_time"):
        raise Refusal("a frequency: write once, every_time or {every: 7d}")
    return written


Frequency = Annotated[
    Annotated[Every, Tag(Every.union_tag)]
    | Annotated[Literal["once", "every_time"], BeforeValidator(_word), Tag("#word")],
    Discriminator(_kind_of_frequency),
]


class Webhook(Section):
    """A POST to an address, signed with each of the secrets."""

    union_tag: ClassVar[str] = "#webhook"

    webhook: str = Field(repr=False)
    secret: str | tuple[str, ...] = Field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """One, or while it is changed two."""
        return (self.secret,) if isinstance(self.secret, str) else self.secret


class FileTarget(Section):
    """Lines in files of a folder."""

    union_tag: ClassVar[str] = "#file"

    file: Annotated[str, Field(min_length=1)]


def _kind_of_target(target: Any) -> str | None:
    if target == "none":
        return "#none"
    if isinstance(target, dict):
        return next((f"#{kind}" for kind in ("webhook", "file") if kind in target), None)
    return getattr(target, "union_tag", None)


Target = Annotated[
    Annotated[Webhook, Tag(Webhook.union_tag)]
    | Annotated[FileTarget, Tag(FileTarget.union_tag)]
    | Annotated[Literal["none"], Tag("#none")],
    Discriminator(
        _kind_of_target,
        custom_error_type=REFUSED,
        custom_error_message="no target",
        custom_error_context={"expected": "a target: write {webhook: ..., secret: ...}, {file: ...} or none"},
    ),
]


class Automation(Section):
    """One definition."""

    name: DefinitionName
    description: str = ""
    trigger: Trigger
    wait: Length = timedelta()
    unless: Exit | None = None
    only_if: Condition = None  # type: ignore[assignment]  # a union with None could not hold the condition's type
    frequency: Frequency = "every_time"
    max_lateness: Length = timedelta(hours=72)
    payload: tuple[Name, ...] = ()
    deliver: Target = "none"

    @cached_property
    def version(self) -> str:
        """12 hex digits of the rule's hash; where it delivers to, and with which secret, is no part of the rule."""
        content = self.model_dump(by_alias=True, exclude_defaults=True, exclude={"deliver", "description"})
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def awaits(self) -> str:
        """What it waits for: `event checkout_started`, `segment_entered vip_customers`. Another one has another past."""
        match self.trigger:
            case EventTrigger(event=name):
                return f"event {name}"
            case EnteredTrigger(segment_entered=name):
                return f"segment_entered {name}"
            case LeftTrigger(segment_left=name):
                return f"segment_left {name}"

    @property
    def every(self) -> timedelta | None:
        """The least time between two triggers of a contact: None is no limit, `timedelta.max` once for ever."""
        if isinstance(self.frequency, Every):
            return self.frequency.every
        return timedelta.max if self.frequency == "once" else None


class AutomationFile(Section):
    """One file of automations/."""

    automations: tuple[Automation, ...] = ()
