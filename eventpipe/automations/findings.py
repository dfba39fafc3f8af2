"""What is wrong in an automation beyond the types of its values: names that nobody knows, keys that do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from eventpipe.automations.grammar import Automation, EventTrigger, Exit, FileTarget, Webhook
from eventpipe.project.document import KeyPath
from eventpipe.project.refusal import Finding, Refusal
from eventpipe.project.signing import signing_secret
from eventpipe.segments.findings import Scope, condition_findings, segment_findings
from eventpipe.segments.names import EVENT_FIELDS, Names
from eventpipe.segments.property_findings import event_name_findings, nearly, where_findings

CONTACT_PREFIX: Final = "contact."
SEGMENT: Final = "segment"
"""What a payload calls the segment that was entered or left."""

ROW_FIELDS: Final = ("event_id", "event_name", "occurred_at")
"""What a payload can name of the event beside properties and EVENT_FIELDS."""

_MOST_SECRETS: Final = 2


def automation_findings(automation: Automation, path: KeyPath, scope: Scope) -> Iterator[Finding]:
    """Everything wrong in the definition at `path`."""
    trigger = automation.trigger
    if isinstance(trigger, EventTrigger):
        yield from event_name_findings(trigger.event, (*path, "trigger", "event"), scope.names)
        yield from where_findings(trigger.where, (*path, "trigger"), (trigger.event,), scope.names)
    else:
        kind, segment = automation.awaits.split(" ", 1)
        yield from segment_findings(segment, (*path, "trigger", kind), scope)
    if automation.unless is not None:
        yield from _exit(automation.unless, (*path, "unless"), scope.names, isinstance(trigger, EventTrigger))
    if automation.only_if is not None:
        yield from condition_findings(automation.only_if, (*path, "only_if"), scope)
    for place, name in enumerate(automation.payload):
        yield from _payload(name, (*path, "payload", place), automation, scope.names)
    if isinstance(automation.deliver, Webhook):
        yield from _secrets(automation.deliver, (*path, "deliver", "secret"))
    elif isinstance(automation.deliver, FileTarget) and not automation.deliver.file.strip():
        yield Finding((*path, "deliver", "file"), "is no folder: it is empty")


def _exit(unless: Exit, path: KeyPath, names: Names, of_event: bool) -> Iterator[Finding]:
    if (unless.event is None) == (unless.any_event is None):
        yield Finding(path, "needs one of event and any_event")
    for place, name in enumerate(unless.names):
        key: KeyPath = ("event",) if unless.event is not None else ("any_event", place)
        yield from event_name_findings(name, (*path, *key), names)
    yield from where_findings(unless.where, path, unless.names, names)
    if unless.match and not of_event:
        yield Finding((*path, "match"), "compares with the event of the trigger, and here the trigger is no event")


def _payload(name: str, path: KeyPath, automation: Automation, names: Names) -> Iterator[Finding]:
    """A property that nobody has seen may still come; a membership has none."""
    if name.startswith(CONTACT_PREFIX) or name in names.identifiers:
        return
    if not isinstance(automation.trigger, EventTrigger):
        if name != SEGMENT:
            accepted = f"{', '.join(names.identifiers)}, {SEGMENT}, or {CONTACT_PREFIX} and a trait"
            yield Finding(path, f"{name!r} is nothing that a change of membership has. Accepted: {accepted}")
        return
    event = names.event(automation.trigger.event)
    known = (*sorted(names.properties((event,))), *EVENT_FIELDS, *ROW_FIELDS, *names.identifiers)
    if name not in known and (guess := nearly(name, known)):
        yield Finding(path, f"no property of {event!r} is called {name!r}; did you mean {guess!r}?")


def _secrets(webhook: Webhook, path: KeyPath) -> Iterator[Finding]:
    """Never quotes one."""
    if not 1 <= len(webhook.secrets) <= _MOST_SECRETS:
        yield Finding(path, "is one secret, or two while it is changed, the new one first")
    for secret in webhook.secrets:
        try:
            signing_secret(secret)
        except Refusal as refusal:
            yield Finding(path, f"is not {refusal.expected}")
