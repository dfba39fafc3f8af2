"""A source's `map` as `Sent` expressions: alone, or over a preset."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace

import sqlglot
from sqlglot import exp

from eventpipe.intake import digits
from eventpipe.intake.document import Document
from eventpipe.intake.presets import as_object, deletion, known_kind, sent_by
from eventpipe.intake.records import RECORD
from eventpipe.intake.sent import Sent
from eventpipe.project.mapping import Constant, FieldMap, FieldPath, SqlField, fields_of
from eventpipe.project.sources import SourceProfile
from eventpipe.sql import json_path, literal

_Used = dict[str, "_Used"]
"""Fields that a mapping reads: each with those inside of it, or with none where it is read whole."""

_WIDE = 19
"""Digits of the narrowest decimal that takes 128 bits."""

_JSON_FIELDS = ("properties", "extra", "traits")
_TEXT_FIELDS = (
    "event_name workspace_id occurred_at customer_id email phone anonymous_id dedupe_key order_id goal_type goal_name "
    "currency deleted_at"
).split()


def sent_from(profile: SourceProfile, document: Document, file: str, columns: Collection[str] = ()) -> Sent:
    """The expressions of a source. A field is named by one of the `columns` that the export has, else by a key or a dotted path."""
    sent = sent_by(profile.preset, document, file) if profile.preset else Sent()
    reader = _Reader(document, columns)
    changes: dict[str, object] = {}
    others: dict[str, str] = {}
    uncomputed: dict[str, str] = {}
    for name, entry in profile.map.items():
        if name in _JSON_FIELDS:
            changes[name] = as_object(reader.json(entry))
        elif name == "value":
            changes[name] = reader.json(entry)
        elif name == "kind":
            changes[name] = known_kind(reader.text(entry))
        elif name == "previous_id":
            changes["previous"] = (*sent.previous, ("anonymous_id", reader.text(entry)))
        elif name in _TEXT_FIELDS:
            changes[name] = reader.text(entry)
            if isinstance(entry, FieldPath) and entry.format:
                changes[f"{name}_format"] = entry.format
        else:
            others[name] = reader.text(entry)
        if name == "deleted_at":
            changes["deletion"] = reader.deletion(entry)
        if isinstance(entry, SqlField):
            uncomputed[name] = reader.cannot_compute(entry)
    changes["other_identifiers"] = others
    changes["uncomputed"] = uncomputed
    if profile.preset is None and "properties" not in profile.map:
        changes["properties"] = reader.rest(profile)
    return replace(sent, **changes)  # type: ignore[arg-type]  # keys are names of Sent's fields, checked above


def _without(used: _Used, at: tuple[str, ...]) -> str:
    """The merge patch, as SQL, that takes these fields out of the object at this path of `doc`, and objects that they were all of."""
    members = []
    for key, inner in used.items():
        name, path = json.dumps(key, ensure_ascii=False), (*at, key)
        if not inner:
            members.append(literal(f"{name}:null"))
            continue
        # A patch makes an object of what is none: of nothing, or of a text that would be lost.
        is_object = f"json_type(doc, {json_path(path)}) = 'OBJECT'"
        patch = _without(inner, path)
        left = f"cast(json_merge_patch(json_extract(doc, {json_path(path)}), {patch}) as varchar)"
        gone, smaller = literal(f"{name}:null"), literal(f"{name}:")
        members.append(
            f"case when {is_object} then case when {left} = '{{}}' then {gone} else {smaller} || {patch} end end"
        )
    return f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'" if members else "'{}'"


def _with_room(tree: exp.Expression) -> exp.Expression:
    """The same with all decimals in 128 bits. A product of two that fit into 64 the engine keeps there too, which is ten digits
    before the point of decimal(18,4) times decimal(18,4); a value may have fourteen."""
    tree = exp.Paren(this=tree)
    # The inner ones first: an outer one is copied with what is inside of it.
    for cast in reversed(list(tree.find_all(exp.Cast))):
        if cast.to.this is exp.DataType.Type.DECIMAL:
            width, scale = [int(each.name) for each in cast.to.expressions] or (18, 3)
            if width < _WIDE:
                wide = exp.DataType.build(f"decimal({_WIDE}, {scale})", dialect="duckdb")
                cast.replace(exp.Cast(this=cast.copy(), to=wide))
    return tree


class _Reader:
    def __init__(self, document: Document, columns: Collection[str]) -> None:
        self._document = document
        self._columns = columns
        self._expressions: dict[str, str] = {}
        self._reads = 0

    def places(self, field: str) -> list[tuple[str, ...]]:
        """The paths that a field may mean, the likeliest first: a key may have dots in it."""
        return [(field,)] if field in self._columns or "." not in field else [(field,), tuple(field.split("."))]

    def _found(self, read: Callable[[tuple[str, ...]], str], field: str) -> str:
        found = [read(path) for path in self.places(field)]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    def text(self, entry: FieldMap) -> str:
        match entry:
            case FieldPath():
                return self._found(self._document.text, entry.field)
            case Constant():
                return literal(entry.value if isinstance(entry.value, str) else json.dumps(entry.value))
            case SqlField():
                return f"cast({self._expression(entry)} as varchar)"

    def json(self, entry: FieldMap) -> str:
        match entry:
            case FieldPath():
                return self._found(self._document.json, entry.field)
            case Constant():
                return literal(json.dumps(entry.value))
            case SqlField():
                return f"cast(to_json({self._expression(entry)}) as varchar)"

    def deletion(self, entry: FieldMap) -> str:
        """Null restores only where the record says so itself; a constant or expression that is null says nothing."""
        value = self.text(entry)
        if not isinstance(entry, FieldPath):
            return deletion(f"{value} is not null", value)
        return deletion(f"({' or '.join(map(Document.has, self.places(entry.field)))})", value)

    def rest(self, profile: SourceProfile) -> str:
        """The record without the fields that the mapping uses."""
        paths = {path for entry in profile.map.values() for field in fields_of(entry) for path in self.places(field)}
        if profile.explode is not None:
            paths = {(RECORD,) if path[0] == RECORD else path for path in paths}
        used: _Used = {}
        for path in sorted(paths):
            if not any(path[:length] in paths for length in range(1, len(path))):
                node = used
                for key in path:
                    node = node.setdefault(key, {})
        return f"json_merge_patch(doc, {_without(used, ())})"

    def cannot_compute(self, entry: SqlField) -> str:
        """True where the expression has no value for a record (a cast that fails), which is not that its value is null."""
        return f"{self._tried(entry)} is null"

    def _expression(self, entry: SqlField) -> str:
        return f"({self._tried(entry)}).value"

    def _tried(self, entry: SqlField) -> str:
        """A struct with the `value` of an expression; null where it cannot be computed."""
        if entry.expression not in self._expressions:
            tree = _with_room(sqlglot.parse_one(entry.expression, read="duckdb").transform(self._read))
            self._expressions[entry.expression] = f"try({{'value': {tree.sql(dialect='duckdb')}}})"
        return self._expressions[entry.expression]

    def _read(self, node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Column):
            return node
        text = digits.as_sent(self._found(self._document.text, node.name), "doc")
        # Each time a field is read it is spelled differently. What occurs twice the engine computes once, and the cast of a
        # struct's field where the field is read: both outside of the try(), where it would cost the whole export.
        self._reads += 1
        return exp.Var(this=f"[{text}, '{self._reads}'][1]")
