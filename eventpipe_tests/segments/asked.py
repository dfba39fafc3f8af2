"""A world as tables of an engine, and definitions asked of them as the product does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import polars as pl
from sqlglot import exp

from eventpipe.project.definitions import Registry
from eventpipe.project.document import Document
from eventpipe.project.rfm import RfmSettings
from eventpipe.segments.compile import Compiler
from eventpipe.segments.definitions import Segments, read_segments
from eventpipe.segments.expressions import sql
from eventpipe.segments.gathering import GatheredTables, columns_read
from eventpipe.segments.names import Names
from eventpipe.segments.query import Query, Standpoint
from eventpipe_tests.segments.reference import Definition, World

IDENTIFIERS = ("customer_id", "email", "phone", "anonymous_id")
_MONEY = pl.Decimal(18, 4)
_INSTANT = pl.Datetime("us", "UTC")


def names(world: World | None = None, plan: Registry | None = None, **seen: frozenset[str]) -> Names:
    return Names(
        plan or Registry(),
        IDENTIFIERS,
        RfmSettings().segment_names,
        world.currency if world else "USD",
        world.timezone if world else "UTC",
        seen,
    )


def read(definitions: Mapping[str, Definition], known: Names) -> Segments:
    """The definitions, which have nothing wrong with them."""
    entries = [{"name": name, "where": where} for name, where in definitions.items()]
    segments, problems = read_segments([Document("segments/all.yml", {"segments": entries})], known)
    assert segments is not None, "\n".join(map(str, problems))
    return segments


class Engine:
    """A world's tables."""

    def __init__(self, world: World) -> None:
        # Of some rows, threads only make each query wait.
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("set TimeZone = 'UTC'")
        self.show(world)

    def show(self, world: World) -> None:
        """The tables are those of this world from now on."""
        self.world = world
        self._store("events", [self._event(each) for each in world.events], _EVENTS)
        self._store("contacts", [self._contact(each) for each in world.contacts], _CONTACTS)
        held = [
            {"contact_id": each.contact_id, "identifier_type": kind}
            for each in world.contacts
            for kind in sorted(each.identifiers)
        ]
        self._store("contact_identifiers", held, {"contact_id": pl.String, "identifier_type": pl.String})
        rows = [
            {"contact_id": each.contact_id, "currency": currency, **row}
            for each in world.contacts
            for currency, row in (each.rfm or {}).items()
        ]
        self._store("contact_rfm", rows, _RFM)

    def query(self, definitions: Mapping[str, Definition], name: str, plan: Registry | None = None) -> Query:
        segments = read(definitions, names(self.world, plan))

        def members_of(other: str) -> exp.Select:
            return compiler.query(segments.by_name[other].where).members()

        compiler = Compiler(Standpoint(segments.names, self.world.as_of), members_of)
        return compiler.query(segments.by_name[name].where)

    def members(self, definitions: Mapping[str, Definition], name: str, plan: Registry | None = None) -> list[str]:
        rows = self.connection.execute(sql(self.query(definitions, name, plan).members())).fetchall()
        return sorted(contact_id for (contact_id,) in rows)

    def finds(self, where: Definition, plan: Registry | None = None) -> list[str]:
        """Who matches one definition, by this tracking plan."""
        return self.members({"it": where}, "it", plan)

    def finds_in_what_is_read(self, where: Definition, plan: Registry | None = None) -> list[str]:
        """The same by a run's way: from nothing but the events and columns that the query says it reads."""
        segments = read({"it": where}, names(self.world, plan))
        tables = GatheredTables(contacts="contacts")
        query = Compiler(Standpoint(segments.names, self.world.as_of, tables), _no_other).query(
            segments.by_name["it"].where
        )
        read_columns = columns_read(query)
        for each in tables.gathered():
            if each.table not in read_columns:
                continue
            rows = each.query(read_columns[each.table])
            self.connection.execute(f"create or replace temp table {each.table} as {rows}")
        rows_found = self.connection.execute(sql(query.members())).fetchall()
        return sorted(contact_id for (contact_id,) in rows_found)

    def close(self) -> None:
        self.connection.close()

    def _store(self, name: str, rows: list[dict[str, Any]], schema: Mapping[str, Any]) -> None:
        self.connection.register("frame", pl.DataFrame(rows, schema=dict(schema)).to_arrow())
        self.connection.execute(f"create or replace table {name} as from frame")
        self.connection.unregister("frame")

    def _event(self, event: Any) -> dict[str, Any]:
        properties = None if event.properties is None else json.dumps(event.properties, separators=(",", ":"))
        return {**vars(event), "properties": properties}

    def _contact(self, contact: Any) -> dict[str, Any]:
        traits = None if contact.traits is None else json.dumps(contact.traits, separators=(",", ":"))
        told = {name: getattr(contact, name) for name in _CONTACTS if hasattr(contact, name)}
        return told | {"workspace_id": "default", "traits": traits}


def _no_other(segment: str) -> exp.Select:
    raise AssertionError(f"the definition names {segment}")


_EVENTS = {
    **dict.fromkeys(("contact_id", "event_id", "event_name"), pl.String),
    "occurred_at": _INSTANT,
    **dict.fromkeys(("goal_type", "goal_name"), pl.String),
    "value": _MONEY,
    **dict.fromkeys(("currency", "order_id", "properties", "deletion", "source"), pl.String),
}
_CONTACTS = {
    "workspace_id": pl.String,
    "contact_id": pl.String,
    "first_seen_at": _INSTANT,
    "is_anonymous": pl.Boolean,
    **dict.fromkeys(("customer_id", "email", "phone", "traits", "last_intent"), pl.String),
    "event_count": pl.Int64,
}
_RFM = {
    "contact_id": pl.String,
    "currency": pl.String,
    **dict.fromkeys(("r_score", "f_score", "m_score"), pl.Int32),
    **dict.fromkeys(("rfm_score", "rfm_segment"), pl.String),
    **dict.fromkeys(("recency_days", "frequency"), pl.Int64),
    "monetary": pl.Decimal(38, 4),
}
