"""Spec 1, section 4: what a definition makes of the properties of an event."""

from __future__ import annotations

from typing import Any

from eventpipe_tests.intake.reference import values
from eventpipe_tests.intake.reference.judged import Definition, Judged, Rules
from eventpipe_tests.intake.reference.presets import Fields
from eventpipe_tests.intake.reference.values import Number, text


def properties(row: Judged, fields: Fields, definition: Definition, rules: Rules, owed: set[str]) -> Fields:
    """Puts the properties under their names and in their types; gives the fields that they fill."""
    found, filled = dict(row.properties or {}), Fields()
    for each in definition["properties"]:
        name, target = each["name"], each.get("maps_to")
        spelled = [found.get(name), *(found.pop(alias, None) for alias in each.get("aliases", []))]
        value = next((one for one in spelled if one is not None), None)
        if value is None:
            if each.get("required") and target not in fields:
                owed.add(f"property.required:{name}")
            continue
        typed = _typed(value, each["type"])
        if typed is None or (typed is not value and not rules.says("coerce", False, True)):
            owed.add(f"property.type:{name}")
        elif typed is not value:
            row.coercions += 1
            row.flags.add(f"coerced:{name}")
            value = typed
        found[name] = value
        filled |= {target: value} if target else {}
    if definition.get("unknown_properties") == "reject":
        owed |= {
            f"property.unknown:{name}" for name in found if name not in {p["name"] for p in definition["properties"]}
        }
    row.properties = None if row.properties is None else found
    return {name: value for name, value in filled.items() if text(value) is not None}


def _typed(value: Any, kind: str) -> Any:
    """The value in its declared type: itself, what it reads as, or None where it is no such thing."""
    match kind, value:
        case "number", str() if values.number(value) is not None:
            return value if isinstance(value, Number) else Number(values.number(value))
        case "boolean", str():
            return {"true": True, "false": False}.get(value.lower())
        case "string", Number() | bool():
            return str(values.dump(value))
        case "date", str() if not isinstance(value, Number):
            return value if "-" in value and values.instant(value, "UTC") else None
        case (("array" | "object"), str()):
            opens = "[" if kind == "array" else "{"
            try:
                return values.load(value) if value.startswith(opens) else None
            except ValueError:
                return None
        case ("string", str()) | ("array", list()) | ("object", dict()) | ("boolean", bool()):
            return value
    return None


def order_key(row: Judged, definition: Definition) -> str | None:
    """What `dedupe_on` names: the property, else the field that it maps to or is called like. A refund is nobody's report."""
    on = definition.get("dedupe_on")
    if row.value is not None and row.value < 0:
        return None
    field_of = next((each.get("maps_to") for each in definition.get("properties", []) if each["name"] == on), None)
    field_of = field_of or (on if on in ("order_id", "dedupe_key") else None)
    return on and (
        values.key(text((row.properties or {}).get(on))) or (field_of and values.key(getattr(row, field_of)))
    )
