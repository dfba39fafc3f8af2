"""Reading fields out of a record's JSON document in one parse.

`Document` collects the paths that a preset or a mapping asks for and gives the SQL of each; `structure()` is the
argument of DuckDB's `from_json`, which parses a document once for all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

from eventpipe.sql import identifier, json_path, literal

Path = tuple[str, ...]
_Kind = Literal["VARCHAR", "JSON"]


def mentions(text: str, key: str) -> str:
    """A quick look before a parse: false only where a JSON text cannot have the key."""
    may_be_escaped = re.search(r'[^ -~]|["/\\]', key)
    return "true" if may_be_escaped else f"contains({text}, {literal(json.dumps(key))})"


class Document:
    """The fields of the text column `doc`, parsed into the struct column `j` of the same row."""

    def __init__(self) -> None:
        self._leaves: dict[Path, _Kind] = {}

    def text(self, path: Sequence[str]) -> str:
        """The value as text without quotes; null where absent or null."""
        return self._field(tuple(path), "VARCHAR")

    def json(self, path: Sequence[str]) -> str:
        """The value as JSON text, strings with their quotes; null where absent or null."""
        return self._field(tuple(path), "JSON")

    @staticmethod
    def has(path: Sequence[str]) -> str:
        """True where the key is there, even with null: the difference matters for `deleted_at`."""
        return f"({mentions('doc', path[-1])} and json_exists(doc, {json_path(path)}))"

    def structure(self) -> str:
        """The JSON structure text for `from_json(doc, ...)`."""
        tree: dict[str, object] = {}
        for path, kind in self._leaves.items():
            node = tree
            for key in path[:-1]:
                node = node.setdefault(key, {})  # type: ignore[assignment]  # inner nodes are dicts: see _field
            node[path[-1]] = kind
        return json.dumps(tree or {"-": "JSON"}, ensure_ascii=False)

    def _field(self, path: Path, kind: _Kind) -> str:
        reference = "j" + "".join("." + identifier(key) for key in path)
        known = self._leaves.get(path)
        if known is None and not self._clashes(path):
            self._leaves[path] = kind
            return reference
        if known == kind:
            return reference
        if known == "JSON":
            return f"({reference} ->> '$')"
        # One struct cannot hold `a` beside `a.b`, nor `ID` beside `id`, and a text has lost its JSON type: such a path
        # is read on its own.
        if kind == "VARCHAR":
            return f"json_extract_string(doc, {json_path(path)})"
        return f"nullif(json_extract(doc, {json_path(path)}), 'null')"

    def _clashes(self, path: Path) -> bool:
        folded = tuple(key.lower() for key in path)
        for other in self._leaves:
            other_folded = tuple(key.lower() for key in other)
            shorter = min(len(path), len(other))
            if folded[:shorter] == other_folded[:shorter] and (
                path[:shorter] != other[:shorter] or len(path) != len(other)
            ):
                return True
            shared = next((i for i in range(shorter) if folded[i] != other_folded[i]), shorter)
            if path[:shared] != other[:shared]:
                return True
        return False
