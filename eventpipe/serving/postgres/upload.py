"""Publishing an edition to PostgreSQL: everything that changed, in one transaction.

Readers see one run's tables or the next one's. Rows are deleted and inserted in place, which waits for no reader and
keeps what others built on the tables; only a change of columns or views takes a lock that readers can hold.

Tried again, a few times: a lost connection, a deadlock, a serialisation failure. A commit whose answer was lost is
recognised by the row in `publication`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from sqlalchemy import Connection, text

from eventpipe import __version__
from eventpipe.errors import StageFailed
from eventpipe.failpoints import reach
from eventpipe.ops.lease import Fenced
from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres import migration, publication, roles, staging, tables, views
from eventpipe.serving.postgres.difference import Comparison, compared
from eventpipe.serving.postgres.faults import database_errors, explained, is_worth_another_try
from eventpipe.serving.postgres.publication import Publication
from eventpipe.serving.postgres.relations import Relation
from eventpipe.serving.postgres.server import Server, ServerUnreachable, named, run
from eventpipe.sql import identifier
from eventpipe.wording import several

_LEDGER = "ledger"
_EXPORT = "source, landed_on, file"
ATTEMPTS = 5
_FIRST_PAUSE = 1.0


@dataclass(frozen=True)
class Edition:
    """The tables of run `run_id`, in a file of the engine; its lease's epoch, and the runs that this project knows."""

    path: Path
    run_id: str
    epoch: int
    as_of: datetime
    known_runs: Collection[str]


@dataclass(frozen=True)
class Base:
    """The edition that was published last from here, in a file of the engine."""

    path: Path
    run_id: str


@dataclass(frozen=True)
class Uploaded:
    """Rows taken away and brought, all tables together, a changed one counts as both; 0 and 0 where an earlier attempt
    had committed already.
    """

    removed: int = 0
    brought: int = 0


@dataclass(frozen=True)
class Uploader:
    """Publishes editions. `temporary` is where the engine may spill to; `sleep` waits between two attempts; a first
    edition of so many rows as `staged_from` is filled over several sessions, which fewer rows are not worth.
    """

    server: Server
    engine: EngineSettings
    temporary: Path
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep
    staged_from: int = 1_000_000

    def upload(
        self, edition: Edition, base: Base | None, committing: Callable[[], AbstractContextManager[object]]
    ) -> Uploaded:
        """Publishes `edition`. `committing` surrounds the commit: what it raises at its beginning undoes everything.

        Errors: `ServerUnreachable`, `PublishBlocked`, `SchemaRefused`, `Fenced`, else `StageFailed`.
        """
        for attempt in range(1, ATTEMPTS + 1):
            is_last = attempt == ATTEMPTS
            try:
                return self._once(edition, base, committing)
            except database_errors() as error:
                if is_last or not is_worth_another_try(error):
                    raise explained(self.server, error) from error
            except ServerUnreachable:
                if is_last:
                    raise
            self.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def served(self) -> str | None:
        """The run whose edition the server holds. Errors: as of `upload`."""
        try:
            with self.server.connect() as connection:
                held = publication.current(connection, self.server.schema)
        except database_errors() as error:
            raise explained(self.server, error) from error
        return None if held is None else held.run_id

    def _once(
        self, edition: Edition, base: Base | None, committing: Callable[[], AbstractContextManager[object]]
    ) -> Uploaded:
        with self.server.writing() as connection:
            held = publication.claim(connection, self.server.schema)
            if held is not None and held.run_id == edition.run_id:
                with committing():  # an attempt before this one had, and nobody heard of it
                    return Uploaded()
            if held is not None:
                _check_owner(self.server, held, edition)
            if held is not None and base is None:
                _check_exports(connection, self.server, held, edition)
            is_base = base is not None and held is not None and base.run_id == held.run_id
            path = base.path if base is not None and is_base else None
            with compared(edition.path, path, self.engine, self.temporary) as comparison:
                uploaded = self._bring(connection, held, comparison, edition)
            reach("publish.sent")
            with committing():
                connection.commit()
        reach("publish.committed")
        return uploaded

    def _bring(
        self, connection: Connection, held: Publication | None, comparison: Comparison, edition: Edition
    ) -> Uploaded:
        server = self.server
        stored = [each for each in comparison.relations if each.sql is None]
        found = migration.found_in(connection, server.schema)
        found.pop(publication.NAME, None)
        plan = migration.plan(stored, found, held.tables if held else (), server.schema)
        shown, known = views.views(server, comparison.relations), held.views if held else {}
        if plan.losses:
            raise views.refused(connection, server, plan.losses, known)
        views.drop(connection, server, set(known) if plan.retypes else known.keys() - views.digests(shown).keys())
        for step in plan.steps:
            run(connection, step.sql)
        if held is None and sum(comparison.rows(table) for table in stored) >= self.staged_from:
            uploaded = Uploaded(brought=staging.fill(server, comparison, stored))
            staging.take_over(connection, server, stored)
        else:
            uploaded = self._move(connection, comparison, stored, plan, is_first=held is None)
        tables.describe(connection, server, stored)
        if views.make(connection, server, shown, known) or plan.new:
            roles.grant_reading(connection, server)
        publication.write(
            connection,
            server.schema,
            Publication(
                edition.run_id,
                edition.epoch,
                edition.as_of,
                self.now(),
                __version__,
                tuple(each.name for each in stored),
                views.digests(shown),
                server.mask,
            ),
        )
        return uploaded

    def _move(
        self,
        connection: Connection,
        comparison: Comparison,
        stored: Sequence[Relation],
        plan: migration.Plan,
        *,
        is_first: bool,
    ) -> Uploaded:
        """Brings what changed in each table, those that are new with all of their rows."""
        server = self.server
        if is_first:
            staging.clear(connection, server)
        new = {table.name for table in plan.new}
        for table in plan.new:
            tables.make(connection, server, table)
        tables.drop_outdated_keys(connection, server, stored)
        indexes = tables.indexes_in(connection, server)
        uploaded = Uploaded()
        for table, change in comparison.changes(stored, new | plan.altered):
            # Who looks at the first edition with an older snapshot sees it whole; of a later one only the new table.
            is_frozen = table.name in new and is_first
            removed, brought = tables.move(connection, server, comparison, table, change, frozen=is_frozen)
            tables.finish(connection, server, table, indexes)
            if table.name in new | plan.altered:
                tables.analyze(connection, server, table)
            uploaded = Uploaded(uploaded.removed + removed, uploaded.brought + brought)
        return uploaded


def _check_exports(connection: Connection, server: Server, held: Publication, edition: Edition) -> None:
    """A project without the file of what it published last knows the tables there by the exports that they were made of: the
    ops store that two projects share, by mistake, knows the runs of both."""
    if _LEDGER not in held.tables:
        return
    there = {tuple(row) for row in connection.execute(text(f"select {_EXPORT} from {named(server.schema, _LEDGER)}"))}
    with duckdb.connect(str(edition.path), read_only=True) as tables:
        ours = set(tables.execute(f"select {_EXPORT} from main.{_LEDGER}").fetchall())
    if there and not there & ours:
        raise StageFailed(
            f"The schema {server.schema} at {server.place} holds tables of {several(len(there), 'export')}, none of which has landed here: "
            "another project publishes there, with the same ops store, or this one was begun anew. Give each project a database "
            "of its own (EVENTPIPE_SERVING_URL, EVENTPIPE_OPS), or, if nobody needs these tables, make room: drop schema "
            f"{identifier(server.schema)} cascade."
        )


def _check_owner(server: Server, held: Publication, edition: Edition) -> None:
    if held.run_id not in edition.known_runs:
        raise StageFailed(
            f"The schema {server.schema} at {server.place} holds tables of run {held.run_id}, which this project knows "
            "nothing of: another project publishes there, or the ops store was lost. Name another schema "
            f"(serving.schema), or make this one free: drop schema {identifier(server.schema)} cascade."
        )
    if held.epoch > edition.epoch:
        raise Fenced(
            f"Run {held.run_id} published to {server.place} under a later lease than that of run {edition.run_id}, "
            "which has lost its own. Nothing was changed."
        )
