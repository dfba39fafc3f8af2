"""Columns of the engine as columns of PostgreSQL: their types there, and how their values are written for `COPY`.

    text, numbers, booleans, dates, instants   the same
    lists of those                             arrays
    JSON, and text that is JSON                jsonb
    structs, maps, lists of structs            jsonb

PostgreSQL's text holds no NUL. Where there is one it becomes U+2400 (␀); the raw text of a rejected line becomes base64.
Its numbers end at 131,072 digits. A number in JSON that has as many, `1e200000` too, becomes its text: one that a careless
sender wrote must not keep a run from being published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Double, Integer, LargeBinary, Numeric, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from eventpipe.errors import StageFailed
from eventpipe.sql import identifier, json_rewritten, literal

_TYPES: Final[dict[str, TypeEngine[Any]]] = {
    "VARCHAR": Text(),
    "BOOLEAN": Boolean(),
    "TINYINT": SmallInteger(),
    "UTINYINT": SmallInteger(),
    "SMALLINT": SmallInteger(),
    "USMALLINT": Integer(),
    "INTEGER": Integer(),
    "UINTEGER": BigInteger(),
    "BIGINT": BigInteger(),
    "UBIGINT": Numeric(20, 0),
    "HUGEINT": Numeric(39, 0),
    "UHUGEINT": Numeric(39, 0),
    "FLOAT": Double(),
    "DOUBLE": Double(),
    "DATE": Date(),
    "TIMESTAMP": DateTime(timezone=False),
    "TIMESTAMP WITH TIME ZONE": DateTime(timezone=True),
    "BLOB": LargeBinary(),
    "JSON": JSONB(),
}
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_NUL: Final = "chr(0)"

# No number below these two can have too many digits.
_LONG: Final = 30_000
_EXPONENT: Final = "[0-9][eE][+]?[0-9]{5}"


@dataclass(frozen=True)
class ServedColumn:
    """A column of a published table. `engine_type` is as the engine describes it."""

    name: str
    engine_type: str
    is_json: bool = False

    @property
    def type(self) -> TypeEngine[Any]:
        """Its type in PostgreSQL. Errors: `StageFailed` where none is known."""
        if self.is_json or "STRUCT(" in self.engine_type or "MAP(" in self.engine_type:
            return JSONB()
        return self._scalar_or_list(self.engine_type)

    @property
    def collation(self) -> str | None:
        """Ids are compared as bytes, as the engine does: sorted in a fraction of the time that a language's order takes,
        and no update of the server's libraries breaks their indexes. None: as the database has it.
        """
        return "C" if self.name.endswith("_id") and isinstance(self.type, Text) else None

    def written(self, table: str) -> str:
        """The engine's expression whose text PostgreSQL reads as the value."""
        name = identifier(self.name)
        kind = self.type
        if table == "rejected_events" and self.name == "raw":
            return f"case when contains({name}, {_NUL}) then base64(encode({name})) else {name} end"
        if table == "rejected_events" and self.name == "raw_is_base64":
            return f"coalesce({name}, false) or contains(raw, {_NUL})"
        if isinstance(kind, JSONB):
            return _holdable(name) if self.engine_type in ("JSON", "VARCHAR") else f"to_json({name})"
        if isinstance(kind, ARRAY):
            return _array(name)
        if isinstance(kind, DateTime):
            # In UTC, as the publish's session reads it: with an offset its text would take five times as long.
            return f"coalesce(make_timestamp(epoch_us({name})), {name}::timestamp)"  # infinity has no number
        if isinstance(kind, LargeBinary):
            return f"'\\x' || hex({name})"
        return f"replace({name}, {_NUL}, '␀')" if isinstance(kind, Text) else name

    def _scalar_or_list(self, engine_type: str) -> TypeEngine[Any]:
        if engine_type.endswith("[]"):
            return ARRAY(self._scalar_or_list(engine_type.removesuffix("[]")))
        if decimal := _DECIMAL.fullmatch(engine_type):
            return Numeric(int(decimal[1]), int(decimal[2]))
        if engine_type.startswith("ENUM("):
            return Text()
        found = _TYPES.get(engine_type)
        if found is None:
            raise StageFailed(
                f"The column {self.name} has the type {engine_type}, which is not served from PostgreSQL. "
                "Cast it in its model to text, a number, a date, an instant, a list or JSON."
            )
        return found


def _holdable(document: str) -> str:
    """A JSON text without numbers that PostgreSQL cannot hold."""
    too_long = f"(strlen(part) > {_LONG} or regexp_matches(part, {literal(_EXPONENT)}))"
    quoted = f"case when not starts_with(part, '\"') and {too_long} then '\"' || part || '\"' else part end"
    return (
        f"case when strlen({document}) > {_LONG} or regexp_matches({document}, {literal(_EXPONENT)})"
        f" then {json_rewritten(document, quoted)} else {document} end"
    )


def _array(name: str) -> str:
    """An array literal: each element in quotes, an absent one as null."""
    escaped = f"replace(replace(replace(element::varchar, {_NUL}, '␀'), '\\', '\\\\'), '\"', '\\\"')"
    elements = f"list_transform({name}, lambda element: coalesce('\"' || {escaped} || '\"', 'NULL'))"
    return f"case when {name} is not null then '{{' || array_to_string({elements}, ',') || '}}' end"
