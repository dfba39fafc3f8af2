"""Event definitions as SQL: which definition an event falls under, what it makes of properties.

Every event's declared properties are read in one parse into list columns, one entry per declared property and in its
definition's order: `v` the JSON values (the name's, else an alias's), `t` the same as text, `c` whether the value has
another JSON type than declared but reads as it without loss. `p` holds names and aliases apart. The expressions that
follow refer to those columns and stay short: planning them for every export is a cost of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from eventpipe.intake import normalise, strict
from eventpipe.project.definitions import EventDefinition, PropertyDefinition, Registry
from eventpipe.project.vocabulary import DEDUPE_FIELDS, PROPERTY_TARGETS
from eventpipe.sql import identifier, json_path, literal, literals


@dataclass(frozen=True)
class _Place:
    """A declared property: its number in its definition (from 1), and where its name and aliases stand in `p`."""

    declared: PropertyDefinition
    number: int
    positions: tuple[int, ...]

    @property
    def found(self) -> str:
        """The property's JSON text out of `p`; null where it is absent or null. The name comes before its aliases."""
        given = ", ".join(f"nullif(p[{position}], 'null')" for position in self.positions)
        return f"coalesce({given})" if len(self.positions) > 1 else given

    @property
    def value(self) -> str:
        return f"v[{self.number}]"

    @property
    def text(self) -> str:
        return f"t[{self.number}]"

    @property
    def coerced(self) -> str:
        return f"c[{self.number}]"


class DefinitionSql:
    """SQL expressions that choose by the column `definition`: the number of an event's definition, or null."""

    def __init__(self, registry: Registry, *, coerce: bool) -> None:
        self._definitions = registry.definitions
        self._coerce = coerce
        self._places = [tuple(_places(definition)) for definition in registry.definitions]

    def number(self, name: str) -> str:
        """The number of the definition that lists `name`, a column, as its name or an alias; else null."""
        # Comparisons: a join with so few names costs more, because it copies every column of the row.
        rows = [
            f"when {literal(spelling)} then {number}"
            for number, definition in enumerate(self._definitions)
            for spelling in (definition.name, *definition.aliases)
        ]
        return f"case {name} {' '.join(rows)} end" if rows else "null::integer"

    def canonical_name(self) -> str:
        """The name of the event's definition; null where there is none."""
        return self._case(lambda number: literal(self._definitions[number].name), "null")

    def values(self) -> str:
        """The list `p` of the declared properties' JSON values, aliases included."""
        return self._case(
            lambda number: (
                f"json_extract(properties, [{', '.join(self._paths(number))}])" if self._places[number] else None
            ),
            otherwise="null::json[]",
        )

    def declared_values(self) -> str:
        """The list `v`."""
        return self._case(self._list(lambda place: place.found), "null::json[]")

    @staticmethod
    def texts() -> str:
        """The list `t`."""
        return "list_transform(v, lambda x: case when starts_with(x, '\"') then x ->> '$' else cast(x as varchar) end)"

    def coerced_flags(self) -> str:
        """The list `c`."""
        if not self._coerce:
            return "null::boolean[]"
        return self._case(self._list(lambda place: _reads_as_declared(place) or "false"), "null::boolean[]")

    def version(self) -> str:
        """The version of the definition that judges the event; null where none does."""
        return self._case(lambda number: literal(self._definitions[number].version), "null")

    def observes(self) -> str:
        """True where violations are counted but do not reject."""
        return self._case(lambda n: "true" if self._definitions[n].mode == "observe" else None, "false")

    def mapped(self, column: str, *, as_json: bool = False) -> str:
        """What properties with `maps_to: column` give; null where none does."""

        def one(number: int) -> str | None:
            given = [place for place in self._places[number] if place.declared.maps_to == column]
            values = [place.value if as_json else place.text for place in given]
            if not values:
                return None
            return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"

        return self._case(one, "null")

    def goal(self, attribute: str) -> str:
        """The definition's goal: `type` or `name`; `value` as JSON text of the property it names."""

        def one(number: int) -> str | None:
            goal = self._definitions[number].goal
            if goal is None:
                return None
            if attribute != "value":
                said = getattr(goal, attribute)
                return literal(said) if said else None
            return next((p.value for p in self._places[number] if p.declared.name == goal.value), None)

        return self._case(one, "null")

    def order_key(self) -> str:
        """What `dedupe_on` names, over columns after mapping: one event per definition and value (section 6)."""

        def one(number: int) -> str | None:
            on = self._definitions[number].dedupe_on
            if on is None:
                return None
            place = next((p for p in self._places[number] if p.declared.name == on), None)
            texts = [] if place is None else [normalise.trimmed(place.text)]
            # A source may fill the field by its own mapping, whatever the definition says of the property.
            field = (None if place is None else place.declared.maps_to) or (on if on in DEDUPE_FIELDS else None)
            if field is not None:
                texts.append(f"cast({_column(field)} as varchar)")
            return f"coalesce({', '.join(map(normalise.key, texts))})" if texts else None

        return self._case(one, "null")

    def violations(self) -> str:
        """The list of property.* reasons, without nulls; null or empty when there is none."""
        return self._case(self._violations_of, "null::varchar[]")

    def coercions(self) -> str:
        """How many properties were read from another JSON type than declared."""
        counted = "len(list_filter(c, lambda coerced: coerced))"
        return f"case when list_contains(c, true) then {counted} else 0 end" if self._coerce else "0"

    def coerced_properties(self) -> str:
        """The list of `coerced:<name>` for each of them; null or empty when there is none."""

        def one(number: int) -> str | None:
            names = literals("coerced:" + place.declared.name for place in self._places[number])
            return f"[{names}]" if names else None

        return f"list_filter({self._case(one, 'null::varchar[]')}, lambda name, place: c[place])"

    def canonical_properties(self) -> str:
        """`properties` with declared names and types: aliases renamed, coerced values converted."""

        def one(number: int) -> str | None:
            changes = [change for place in self._places[number] for change in self._changes(place)]
            if not changes:
                return None
            gone = ", ".join(
                f"case when {condition} then {literal(_quoted(key) + ':null')} end" for condition, key, _ in changes
            )
            made = ", ".join(f"case when {condition} then {member} end" for condition, _, member in changes if member)
            # What is made is set beside the rest: a merge patch would drop the nulls inside of it.
            return (
                f"case when {' or '.join(condition for condition, *_ in changes)} then"
                f" list_transform([cast(json_merge_patch(properties, '{{' || concat_ws(',', {gone}) || '}}') as varchar)],"
                f" lambda rest: cast('{{' || concat_ws(',', nullif(rest[2:-2], ''), {made}) || '}}' as json))[1]"
                f" else properties end"
            )

        return self._case(one, "properties")

    def _violations_of(self, number: int) -> str | None:
        checks: list[tuple[str, str]] = []
        definition = self._definitions[number]
        for place in self._places[number]:
            name = place.declared.name
            if place.declared.required:
                filled = place.declared.maps_to
                absent = f"{place.value} is null" + (f" and {_column(filled)} is null" if filled else "")
                checks.append((absent, literal("property.required:" + name)))
            checks.append((f"{place.value} is not null and not {self._typed(place)}", literal("property.type:" + name)))
        found = []
        if checks:
            # Nearly no event breaks its definition: the list is made only where one does.
            broken = " or ".join(f"coalesce({condition}, false)" for condition, _ in checks)
            listed = ", ".join(f"case when {condition} then {code} end" for condition, code in checks)
            found.append(f"case when {broken} then list_filter([{listed}], lambda r: r is not null) end")
        if definition.unknown_properties == "reject":
            known = [name for p in definition.properties for name in (p.name, *p.aliases)] or [""]
            strange = f"list_filter(json_keys(properties), lambda k: not list_contains([{literals(known)}], k))"
            # A record may give a key twice: that is one reason.
            found.append(f"list_transform(list_sort(list_distinct({strange})), lambda k: 'property.unknown:' || k)")
        if not found:
            return None
        return found[0] if len(found) == 1 else f"list_concat({', '.join(found)})"

    def _typed(self, place: _Place) -> str:
        natural = _natural(place)
        return f"({natural} or coalesce({place.coerced}, false))" if self._coerce else f"({natural})"

    def _list(self, entry: Callable[[_Place], str]) -> Callable[[int], str | None]:
        """A list with one entry per declared property of a definition."""

        def one(number: int) -> str | None:
            entries = [entry(place) for place in self._places[number]]
            return f"[{', '.join(entries)}]" if entries else None

        return one

    def _changes(self, place: _Place) -> Iterator[tuple[str, str, str]]:
        """What is done to `properties`: on this condition this key goes, and this member, if any, comes: a value that is
        converted or renamed, without the alias that it had."""
        coerced = f"coalesce({place.coerced}, false)" if self._coerce and _reads_as_declared(place) else ""
        name, *aliases = place.positions
        key = literal(_quoted(place.declared.name) + ":")
        converted = {
            "string": f"to_json({place.text})",
            "number": _as_json_number(normalise.trimmed(place.text)),
            "boolean": f"lower({place.text})",
        }.get(place.declared.type, place.text)
        as_declared = f"case when {coerced} then {converted} else {place.value} end" if coerced else place.value
        renamed = f"nullif(p[{name}], 'null') is null and {place.value} is not null" if aliases else ""
        if needed := " or ".join(filter(None, [coerced, renamed])):
            yield f"({needed})", place.declared.name, f"{key} || {as_declared}"
        for alias, position in zip(place.declared.aliases, aliases, strict=True):
            yield f"p[{position}] is not null", alias, ""

    def _paths(self, number: int) -> list[str]:
        return [
            json_path([name])
            for place in self._places[number]
            for name in (place.declared.name, *place.declared.aliases)
        ]

    def _case(self, of: Callable[[int], str | None], otherwise: str) -> str:
        branches = [(number, sql) for number in range(len(self._definitions)) if (sql := of(number)) is not None]
        if not branches:
            return otherwise
        return f"case definition {' '.join(f'when {n} then {sql}' for n, sql in branches)} else {otherwise} end"


def _places(definition: EventDefinition) -> Iterator[_Place]:
    position = 1
    for number, declared in enumerate(definition.properties, start=1):
        count = 1 + len(declared.aliases)
        yield _Place(declared, number, tuple(range(position, position + count)))
        position += count


def _reads_as_declared(place: _Place) -> str | None:
    """True where the value has another JSON type but reads as the declared one without loss; None where none can."""
    quoted = f"starts_with({place.value}, '\"')"
    match place.declared.type:
        case "number":
            return f"{quoted} and {normalise.number(normalise.trimmed(place.text))}"
        case "boolean":
            return f"{quoted} and lower({place.text}) in ('true', 'false')"
        case "string":
            return f"not regexp_matches({place.value}, '^[\"{{\\[]')"
        case "array" | "object":
            opening = "[" if place.declared.type == "array" else "{"
            return f"{quoted} and starts_with({place.text}, '{opening}') and {strict.packed_fault(place.text)} is null"
        case _:
            return None


def _natural(place: _Place) -> str:
    """True where the JSON value has the declared type as it stands."""
    first: dict[str, Sequence[str]] = {"string": '"', "array": "[", "object": "{", "boolean": "tf"}
    if place.declared.type == "number":
        return normalise.number(place.value)
    if place.declared.type == "date":
        return f"starts_with({place.value}, '\"') and {normalise.day(place.text)}"
    return " or ".join(f"starts_with({place.value}, {literal(c)})" for c in first[place.declared.type])


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _as_json_number(text: str) -> str:
    """Text that holds a number, as JSON writes it: `+5`, `.5`, `5.` and `007` are none there."""
    return f"case when json_valid({text}) then {text} else cast(cast({text} as double) as varchar) end"


def _column(target: str) -> str:
    """Where the contract keeps a canonical field after mapping: the value as JSON, everything else as text."""
    if target == "value":
        return "sent_value"
    return identifier(("mapped_" if target in PROPERTY_TARGETS else "other_") + target)
