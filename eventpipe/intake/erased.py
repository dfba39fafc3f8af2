"""Lines of erased people: they take their place in an export, and say nothing.

A line is an erased person's when its strongest usable identifier that says who somebody is was theirs (as events are
attributed), when it has none and any of its identifiers was theirs, or when it reports one of their events. A rejected
line is theirs when it names them at all. Such a line is rejected as `identifier.erased`: of it the lake has where it stood.
An event of somebody else keeps all but the identifier that was theirs, and where it says that once more it says `[erased]`.

The same rule rewrites what the lake holds and judges what lands later, so nothing brings an erased person back.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from eventpipe.engine import in_memory
from eventpipe.erasure.tombstones import Tombstones
from eventpipe.identity.rules import Rules
from eventpipe.intake.contract import LAKE_COLUMNS
from eventpipe.intake.lake import Manifest, file_stem, parquet
from eventpipe.project.folder import Project
from eventpipe.project.vocabulary import DEFAULT_IDENTIFIERS
from eventpipe.sql import literal

ERASED = "identifier.erased"
"""The reason of an erased person's line."""

_PLACE = ("line", "index", "workspace_id", "source", "landed_on", "file")
_INSTEAD = {
    "status": "'rejected'",
    "reasons": f"[{literal(ERASED)}]",
    "raw": "''",
    "raw_is_base64": "false",
    "deletion": "'unchanged'",
    "coercions": "0",
}
_BATCH = 50_000
_SETS = pl.Schema(
    {
        "workspace_id": pl.String(),
        "identifiers": pl.String(),
        "is_theirs": pl.Boolean(),
        "kept": pl.String(),
        "dead": pl.List(pl.String()),
    }
)
_DOCUMENTS = ("properties", "extra", "traits")
_RESTATED = pl.Schema({"line": pl.Int64(), "index": pl.Int64()} | {name: pl.String() for name in _DOCUMENTS})
_JOIN_RESTATED = (
    "left join restated on judged.line = restated.line and judged.index is not distinct from restated.index"
)
_LINES = pl.Schema({"line": pl.Int64(), "index": pl.Int64()})


@dataclass(frozen=True)
class ErasedRows:
    """Rows without the lines of erased people: their file, and how many lines became theirs, accepted or rejected before; of
    how many events of others an identifier was taken."""

    path: Path
    accepted: int
    rejected: int
    stripped: int
    digest: str

    def of(self, manifest: Manifest) -> Manifest:
        """The manifest of the export with these rows."""
        version = hashlib.sha256(f"{manifest.data} {self.digest}".encode()).hexdigest()[:12]
        return replace(
            manifest,
            accepted=manifest.accepted - self.accepted,
            rejected=manifest.rejected + self.accepted,
            data=f"{file_stem(manifest.file)}.{version}.parquet",
        )


class Forgetting:
    """What the lines of a project's exports are held against."""

    def __init__(self, project: Project, tombstones: Tombstones) -> None:
        self._tombstones = tombstones
        self._project = project
        if tombstones:
            self._rules = Rules.of(project)

    def rewritten(self, rows: Path) -> ErasedRows | None:
        """The rows of an export beside them, under a temporary name; None where nobody in them was erased."""
        if not self._tombstones:
            return None
        with in_memory(self._project) as connection:
            relation = parquet([rows])
            connection.register("digests", pl.DataFrame({"digest": [*self._tombstones.digests]}).to_arrow())
            found = {
                "sets": self._sets(connection, relation),
                "named": self._rejected(connection, relation),
                "their_events": self._events(connection, relation),
            }
            if all(each.is_empty() for each in found.values()):
                return None
            for name, frame in found.items():
                connection.register(name, frame.to_arrow())
            connection.execute(f"create view judged as {_judged(relation)}")
            connection.register("restated", self._restated(connection).to_arrow())
            accepted, rejected, stripped, digest = _one(
                connection,
                """
                select count(*) filter (is_theirs and status = 'accepted'), count(*) filter (is_theirs and status = 'rejected'),
                    count(*) filter (not is_theirs),
                    md5(string_agg(concat_ws(' ', line, index, is_theirs, kept), ',' order by line, index))
                from judged where is_theirs or is_stripped""",
            )
            target = rows.with_name(f"{rows.name}.erased.tmp")
            columns = ", ".join(f"{_column(name)} as {name}" for name in LAKE_COLUMNS)
            try:
                connection.execute(
                    f"copy (select {columns} from judged {_JOIN_RESTATED}) to {literal(str(target))} (format parquet, compression zstd)"
                )
            except BaseException:
                target.unlink(missing_ok=True)
                raise
        return ErasedRows(target, accepted, rejected, stripped, digest)

    def applied(self, manifest: Manifest, rows: Path) -> tuple[Manifest, Path]:
        """Rows that were just judged, in a temporary file, and their manifest: both without erased people."""
        try:
            erased = self.rewritten(rows)
        except BaseException:
            rows.unlink(missing_ok=True)
            raise
        if erased is None:
            return manifest, rows
        erased.path.replace(rows)
        return erased.of(manifest), rows

    def _sets(self, connection: duckdb.DuckDBPyConnection, relation: str) -> pl.DataFrame:
        """The identifier sets that hold something of an erased person."""
        pair = "unnest(from_json(identifiers, '[[\"VARCHAR\"]]')) as pair"
        held = f"from {relation} where identifiers is not null"
        digest = self._tombstones.of_identifier_sql("workspace_id", "pair[1]", "pair[2]")
        connection.execute(
            # Each identifier once: the engine would rather ask for all of them first.
            f"create temp table dead as with each as materialized (select distinct workspace_id, {pair} {held})"
            f" select * from each where {digest} in (from digests)"
        )
        if not _one(connection, "select count(*) from dead")[0]:
            return pl.DataFrame(schema=_SETS)
        found = []
        query = (
            f"select workspace_id, identifiers, list(pair) from (select distinct workspace_id, identifiers, {pair} {held})"
            " semi join dead using (workspace_id, pair) group by all"
        )
        for workspace, text, theirs in _rows(connection, query):
            pairs = [(str(type), str(value)) for type, value in json.loads(text)]
            dead = [(type, value) for type, value in theirs]
            kept = [pair for pair in pairs if pair not in dead]
            left = json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else None
            found.append(
                (workspace, text, self._rules.owner(pairs) in (None, *dead), left, [value for _, value in dead])
            )
        return pl.DataFrame(found, schema=_SETS, orient="row")

    def _rejected(self, connection: duckdb.DuckDBPyConnection, relation: str) -> pl.DataFrame:
        """Rejected lines whose text names an erased person."""
        found = []
        query = f"select line, index, raw, raw_is_base64 from {relation} where status = 'rejected' and raw <> ''"
        for line, index, raw, is_base64 in _rows(connection, query):
            text = base64.b64decode(raw).decode("utf-8", "replace") if is_base64 else raw
            if self._tombstones.names(text):
                found.append((line, index))
        return pl.DataFrame(found, schema=_LINES, orient="row")

    def _events(self, connection: duckdb.DuckDBPyConnection, relation: str) -> pl.DataFrame:
        """Erased people's events, whoever reports them."""
        digest = self._tombstones.of_event_sql("workspace_id", "event_id")
        return connection.execute(
            f"select distinct event_id from {relation} where event_id is not null and {digest} in (from digests)"
        ).pl()

    def _restated(self, connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
        """What events of others say beside their identifiers, without what was an erased person's."""
        found = []
        query = (
            f"select line, index, dead, {', '.join(_DOCUMENTS)} from judged where is_stripped and not is_theirs"
            f" and coalesce({', '.join(_DOCUMENTS)}) is not null"
        )
        for line, index, dead, *documents in _rows(connection, query):
            said = [None if each is None else _without(each, dead) for each in documents]
            if said != documents:
                found.append((line, index, *said))
        return pl.DataFrame(found, schema=_RESTATED, orient="row")


def _without(document: str, values: list[str]) -> str:
    """A JSON document with another text in place of these; names of fields stay, and numbers as they are written."""
    for value in values:
        for spelled in {json.dumps(value, ensure_ascii=False), json.dumps(value)}:
            document = re.sub(rf"{re.escape(spelled)}(?!\s*:)", '"[erased]"', document, flags=re.IGNORECASE)
    return document


def _judged(relation: str) -> str:
    # A rejected line keeps its text whole or not at all.
    theirs = "sets.identifiers is not null and (sets.is_theirs or status = 'rejected')"
    return f"""
        select lines.*, {theirs} or their_events.event_id is not null or named.line is not null as is_theirs,
            sets.identifiers is not null as is_stripped, sets.kept, sets.dead
        from {relation} as lines
        left join sets
            on lines.workspace_id = sets.workspace_id and lines.identifiers = sets.identifiers
        left join their_events on lines.event_id = their_events.event_id
        left join named on lines.line = named.line and lines.index is not distinct from named.index"""


def _column(name: str) -> str:
    if name in _PLACE:
        return f"judged.{name}"
    mine = f"judged.{name}"
    if name == "identifiers":
        mine = "case when is_stripped then kept else judged.identifiers end"
    elif name in _DOCUMENTS:
        mine = f"case when restated.line is not null then restated.{name}::json else judged.{name} end"
    elif name in DEFAULT_IDENTIFIERS:
        mine = (
            f"case when not coalesce(is_stripped and list_contains(dead, judged.{name}), false) then judged.{name} end"
        )
    return f"case when is_theirs then {_INSTEAD.get(name, 'null')} else {mine} end"


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[Any, ...]]:
    result = connection.execute(query)
    while rows := result.fetchmany(_BATCH):
        yield from rows


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = connection.execute(query).fetchone()
    assert found is not None
    return found
