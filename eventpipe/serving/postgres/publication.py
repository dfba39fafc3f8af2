"""Which edition a server holds: one row, written in the transaction that brings the edition.

It tells a commit whose answer was lost from one that never happened, what the next publish may start from, and who
owns the schema. Whoever publishes holds its row until the end, so two publishes come one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    MetaData,
    Table,
    Text,
    inspect,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.schema import CreateSchema

NAME = "publication"


@dataclass(frozen=True)
class Publication:
    """The edition of run `run_id`, published under the lease's `epoch`. `views`: what each view was made from."""

    run_id: str
    epoch: int
    as_of: datetime
    published_at: datetime
    eventpipe_version: str
    tables: tuple[str, ...]
    views: dict[str, str]
    mask: tuple[str, ...]


def table_in(schema: str) -> Table:
    """The table of the one row."""
    return Table(
        NAME,
        MetaData(schema=schema),
        Column("is_the_row", Boolean, primary_key=True, comment="True: there is one row."),
        Column("run_id", Text, comment="The run whose tables these are."),
        Column("epoch", BigInteger, nullable=False, comment="The lease under which that run published."),
        Column("as_of", DateTime(timezone=True), comment="The instant that the tables were computed for (UTC)."),
        Column("published_at", DateTime(timezone=True), comment="When the run published (UTC)."),
        Column("eventpipe_version", Text, comment="Version of eventpipe that published."),
        Column("tables", JSONB, nullable=False, comment="The tables of the edition."),
        Column("views", JSONB, nullable=False, comment="Its views, each with a hash of what it was made from."),
        Column("mask", JSONB, nullable=False, comment="Identifier types that the masked views do not show."),
        CheckConstraint("is_the_row", name=f"ck_{NAME}_is_the_row"),
        comment="Which run's tables are served. Grain: one row.",
    )


def claim(connection: Connection, schema: str) -> Publication | None:
    """Takes the row for the length of the caller's transaction, made if need be; None before the first publish."""
    if not inspect(connection).has_schema(schema):
        connection.execute(CreateSchema(schema, if_not_exists=True))
    table = table_in(schema)
    table.create(connection, checkfirst=True)
    empty = {"is_the_row": True, "epoch": 0, "tables": [], "views": {}, "mask": []}
    connection.execute(insert(table).values(empty).on_conflict_do_nothing())
    return _read(connection, schema, lock=True)


def current(connection: Connection, schema: str) -> Publication | None:
    """What is served; None when nothing is."""
    if not inspect(connection).has_table(NAME, schema=schema):
        return None
    return _read(connection, schema, lock=False)


def write(connection: Connection, schema: str, publication: Publication) -> None:
    """Records the edition in the caller's transaction, which has claimed the row."""
    values = {name: getattr(publication, name) for name in Publication.__dataclass_fields__}
    values |= {"tables": list(publication.tables), "mask": list(publication.mask)}
    connection.execute(table_in(schema).update().values(values))


def _read(connection: Connection, schema: str, *, lock: bool) -> Publication | None:
    table = table_in(schema)
    query = select(table).with_for_update() if lock else select(table)
    row = connection.execute(query).one_or_none()
    if row is None or row.run_id is None:
        return None
    return Publication(
        row.run_id,
        row.epoch,
        row.as_of,
        row.published_at,
        row.eventpipe_version,
        tuple(row.tables),
        dict(row.views),
        tuple(row.mask),
    )
