"""Which version of each event's definition was in force when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from eventpipe.ops.lease import Lease
from eventpipe.ops.store import OpsStore
from eventpipe.ops.tables import definition_versions as table
from eventpipe.project.definitions import EventDefinition


@dataclass(frozen=True)
class DefinitionVersion:
    """A version of an event's definition, in force from the run `run_id` until another took its place."""

    event_name: str
    version: str
    from_at: datetime
    until_at: datetime | None
    content: dict[str, Any]
    run_id: str


def put_in_force(
    connection: Connection, lease: Lease, definitions: Sequence[EventDefinition], *, now: datetime
) -> None:
    """Records that exactly these definitions are in force from now on. Raises Fenced."""
    lease.check(connection)
    wanted = {definition.name: definition for definition in definitions}
    running = connection.execute(select(table).where(table.c.until_at.is_(None))).all()
    for row in running:
        definition = wanted.get(row.event_name)
        if definition is not None and definition.version == row.version:
            del wanted[row.event_name]
        else:
            ended = (table.c.event_name == row.event_name, table.c.until_at.is_(None))
            connection.execute(update(table).where(*ended).values(until_at=now))
    for definition in wanted.values():
        connection.execute(
            insert(table).values(
                event_name=definition.name,
                version=definition.version,
                from_at=now,
                until_at=None,
                content=definition.model_dump(mode="json", exclude_defaults=True),
                run_id=lease.holder,
            )
        )


def history(store: OpsStore, event_name: str) -> list[DefinitionVersion]:
    """The versions of an event's definition, newest first; none where no run has seen one."""
    query = select(table).where(table.c.event_name == event_name).order_by(table.c.from_at.desc())
    with store.read() as connection:
        return [DefinitionVersion(**row._mapping) for row in connection.execute(query)]
