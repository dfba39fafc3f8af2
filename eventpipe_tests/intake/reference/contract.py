"""Spec 1, sections 3 to 5: the event that a source sent, every reason to reject it, what an observed definition misses.

What is open in the specification is decided here in words: who identifies or merges is no defined event; a deletion
answers for the fields that it sends and not for its properties; an observed amount keeps a code that is no currency.
Left out: the caps on names, identifier types of one's own, more than one property for a field.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from eventpipe_tests.intake.reference import values
from eventpipe_tests.intake.reference.definitions import order_key, properties
from eventpipe_tests.intake.reference.judged import Definition, Judged, Rules
from eventpipe_tests.intake.reference.mapped import Sent
from eventpipe_tests.intake.reference.presets import UNNAMED, Fields, kind_of
from eventpipe_tests.intake.reference.values import Number, text

TYPES = ("customer_id", "email", "phone", "anonymous_id")
GOALS = ("purchase", "subscription", "lead", "signup", "booking", "trial", "other")
_BROKEN = {name: f"{name}.invalid" for name in ("value", "occurred_at", "deleted_at", "currency")}


def judge(sent: Sent, rules: Rules, landed_on: date) -> Judged:
    """The event, or the reasons. `owed` is what is wrong by its definition only."""
    row, owed, filled = Judged(), set[str](), Fields()
    row.reasons = {_BROKEN.get(name, f"property.type:{name}") for name in sent.broken}
    definition = _name(row, sent.fields, rules)
    _deletion(row, sent.fields, rules)
    # From here on a field that says nothing is not there.
    fields = {name: value for name, value in sent.fields.items() if text(value) is not None}
    for name in ("properties", "extra", "traits"):
        try:
            found = values.unpacked(sent.fields.get(name))
            if found in ([], None) or (isinstance(found, str) and "".join(found.split()) in ("", "[]")):
                continue
            if name != "extra" and not isinstance(found, dict):
                row.reasons.add(f"property.type:{name}")
            setattr(row, name, found if name == "extra" or isinstance(found, dict) else None)
        except ValueError:
            row.reasons.add("json.invalid")
    if definition:
        filled = properties(row, fields, definition, rules, owed)
    row.workspace_id = text(fields.get("workspace_id")) or row.workspace_id
    for name in ("dedupe_key", "order_id"):
        told = text((filled | fields).get(name))
        setattr(row, name, values.key(told))
        row.flags |= {f"{name}.placeholder"} if told and not values.key(told) else set()
    _goal(row, fields, filled, definition, rules, owed)
    _time(row, fields, rules, landed_on)
    _people(row, fields, filled, rules)
    row.order_key = order_key(row, definition)
    if row.deletion != "deleted":
        (row.violations if definition.get("mode") == "observe" else row.reasons).update(owed)
    return row


def _name(row: Judged, fields: Fields, rules: Rules) -> Definition:
    """Names the event, and gives the definition that lists the name, or nothing."""
    row.kind, row.raw_event_name = kind_of(fields.get("kind")), values.raw_text(fields.get("event_name"))
    is_notifuse = rules.source.get("preset") == "notifuse"
    name = row.raw_event_name or "" if is_notifuse else text(row.raw_event_name) or ""
    row.event_name = name = name or (row.kind if row.kind != "track" else "")
    if row.kind in UNNAMED:
        return {}
    found = next((each for each in rules.definitions if name in (each["name"], *each.get("aliases", []))), {})
    row.event_name = found.get("name", name)
    wrong = {
        "event_name.missing": not name,
        "event_name.format": name and is_notifuse and not re.fullmatch(r"[a-z0-9_./-]+", name),
        "event_name.length": len(name.encode()) > 100,
        "event_name.unknown": name and not found and rules.says("registry", "closed", "open") == "closed",
    }
    row.reasons |= {reason for reason, applies in wrong.items() if applies}
    return found


def _deletion(row: Judged, fields: Fields, rules: Rules) -> None:
    """Absent leaves it, null (or a text with nothing in it) restores, a time deletes."""
    if "deleted_at" not in fields:
        return
    row.deletion = "restored" if text(fields["deleted_at"]) is None else "deleted"
    row.deleted_at = rules.instant(fields, "deleted_at")
    if row.deletion == "deleted" and row.deleted_at is None:
        row.reasons.add("deleted_at.invalid")


def _goal(row: Judged, fields: Fields, filled: Fields, definition: Definition, rules: Rules, owed: set[str]) -> None:
    """Type, name, value and currency: what the event sends, else what its properties say, else its definition."""

    def wrong(name: str, reason: str) -> None:
        (row.reasons if name in fields else owed).add(reason)

    goal, told = definition.get("goal", {}), filled | fields
    row.goal_type = text(told.get("goal_type")) or goal.get("type")
    row.goal_name = text(told.get("goal_name")) or goal.get("name")
    if row.goal_type not in (None, *GOALS):
        wrong("goal_type", "goal_type.unknown")
    needs_value = row.goal_type in ("purchase", "subscription") and row.deletion != "deleted"
    value = told.get("value", (row.properties or {}).get(goal.get("value")))
    if text(value) is not None:
        row.value = values.money(value)
        as_text = not isinstance(value, Number)
        if row.value is None or (as_text and not rules.says("coerce", False, True)):
            wrong("value", "value.invalid")
        row.coercions += "value" in fields and as_text
    elif needs_value and "value.invalid" not in row.reasons:
        wrong("goal_type", "goal_value.required")
    code = text(told.get("currency"))
    if code and code.upper() not in values.CURRENCIES:
        wrong("currency", "currency.invalid")
    row.currency = None if row.value is None else (code or rules.settings["currency"]).upper()


def _time(row: Judged, fields: Fields, rules: Rules, landed_on: date) -> None:
    landing = datetime(landed_on.year, landed_on.month, landed_on.day, tzinfo=UTC)
    if "occurred_at" not in fields:
        row.occurred_at = landing
        row.flags.add("occurred_at.missing")
        return
    row.occurred_at = rules.instant(fields, "occurred_at")
    if row.occurred_at is None:
        row.reasons.add("occurred_at.invalid")
    elif not datetime(1990, 1, 1, tzinfo=UTC) <= row.occurred_at <= landing + timedelta(days=2):
        row.reasons.add("occurred_at.range")


def _people(row: Judged, fields: Fields, filled: Fields, rules: Rules) -> None:
    """The usable identifiers, strongest first, of a type the column's before others. Values that link nobody stay."""
    found: list[tuple[str, str]] = []
    for kind in TYPES:
        for people in (filled | fields, fields.get("others", {})):
            kept = value = text(people.get(kind))
            if value is None:
                continue
            if kind == "email":
                kept = values.email(value)
            elif kind == "phone":
                kept = values.phone(value, rules.source.get("default_region"))
            if kept is None:
                row.flags.add(f"{kind}.invalid")
            elif values.links(kept) and (kind, kept) not in found:
                found.append((kind, kept))
            if people is not fields.get("others") or (kind == "anonymous_id" and "map" not in rules.source):
                setattr(row, kind, kept)
    row.identifiers = found
    if rules.source.get("preset") == "arsel" and len(fields.keys() & set(TYPES)) > 1:
        row.reasons.add("identifier.ambiguous")
    if not found and rules.source.get("identifiers") != "optional":
        row.reasons.add("identifier.missing")
