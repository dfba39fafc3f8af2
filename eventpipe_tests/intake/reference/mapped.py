"""Spec 1, section 1, "map": the canonical fields of a record from its own.

An expression is not parsed here: each that the random sources use stands beside what it means. Left out: a field's own
format, which is the instant's, and columns with a dot in their name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from eventpipe_tests.intake.reference.lines import Record, value_at, without
from eventpipe_tests.intake.reference.presets import PRESETS, Fields
from eventpipe_tests.intake.reference.values import Number, number, raw_text

Texts = Mapping[str, str | None]


@dataclass(frozen=True)
class Sent:
    """The canonical fields as JSON; a field that is not sent is not there. `broken` could not be computed."""

    fields: Fields
    broken: frozenset[str]


def _decimal(written: str) -> Decimal:
    """cast(... as decimal(18,4))"""
    found = number(written)
    if found is None or abs(found) >= 10**14:
        raise ValueError(written)
    return found.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _total(of: Texts) -> Any:
    quantity, price = (None if each is None else _decimal(each) for each in (of["quantity"], of["item.price"]))
    return None if quantity is None or price is None else Number(quantity * price)


def _cents(of: Texts) -> Any:
    try:
        return of["cents"] and Number(_decimal(of["cents"]) * Decimal("0.01"))
    except ValueError:
        return None


def _day(of: Texts) -> Any:
    return None if of["day"] is None else datetime.strptime(of["day"], "%d.%m.%Y").isoformat()


def _name(of: Texts) -> Any:
    group, step = of["group"], of["step"]
    return None if group is None else f"{group.lower()}.{'seen' if step is None else step}"


EXPRESSIONS: Mapping[str, tuple[tuple[str, ...], Callable[[Texts], Any]]] = {
    "cast(quantity as decimal(18,4)) * cast(item.price as decimal(18,4))": (("quantity", "item.price"), _total),
    "try_cast(cents as decimal(18,4)) * 0.01": (("cents",), _cents),
    "strptime(day, '%d.%m.%Y')": (("day",), _day),
    "lower(group) || '.' || coalesce(step, 'seen')": (("group", "step"), _name),
}
"""The fields that each reads, and what it gives for their texts."""


def sent(record: Record, source: Mapping[str, Any]) -> Sent:
    """What a record of this source says. Without a preset, what no mapping reads are its properties."""
    entries: Mapping[str, Any] = source.get("map", {})
    fields: Fields = PRESETS[source["preset"]](record) if "preset" in source else {}
    rest, broken = dict(record), set[str]()
    for name, entry in entries.items():
        value, read = None, tuple[str, ...]()
        match entry:
            case {"value": value}:
                pass
            case {"sql": sql}:
                read, computed = EXPRESSIONS[sql]
                texts = {path: raw_text(None if (found := value_at(record, path)) is ... else found) for path in read}
                try:
                    value = computed(texts)
                except ValueError:
                    broken.add(name)
            case {"field": path} | path:
                value, read = value_at(record, path), (path,)
        for path in read:
            rest = without(rest, path, used_up=True)
        fields.pop(name, None)
        if value is not ... and (value is not None or name == "deleted_at"):
            fields[name] = value
    if "preset" not in source and "properties" not in entries:
        fields["properties"] = rest
    if "previous_id" in fields:
        fields["others"] = {"anonymous_id": fields["previous_id"]}
    return Sent(fields, frozenset(broken))
