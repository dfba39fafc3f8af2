"""The tables of a large first edition, filled over two sessions in a schema that nobody reads.

A session copies on one core, and a table is copied by one session. So two of them share the work, table by table and then index by
index, each piece in a transaction of its own. The publish's own transaction, which holds the claim on the tables, then
moves them where readers look: readers see all of them or none. What a publish leaves that ended before that is cleared
away by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Index, text
from sqlalchemy.schema import CreateSchema

from eventpipe.serving.postgres import tables
from eventpipe.serving.postgres.difference import Comparison
from eventpipe.serving.postgres.faults import database_errors
from eventpipe.serving.postgres.relations import Relation
from eventpipe.serving.postgres.server import Server, named, run
from eventpipe.sql import identifier, literal

_SESSIONS = 2
MARK = "Tables of a publish of eventpipe that has not ended."

P = ParamSpec("P")
T = TypeVar("T")


def fill(server: Server, comparison: Comparison, relations: Sequence[Relation]) -> int:
    """Makes these tables in the staging schema, with all rows, keys and indexes; how many rows.

    The caller holds the claim on the published tables. Errors: as of a publish's statements, once nothing of it runs any more.
    """
    staged = replace(server, schema=server.staging_schema)
    changes = {relation.name: comparison.whole(relation) for relation in relations}
    largest_first = sorted(relations, key=lambda each: changes[each.name].brought.count, reverse=True)
    with ExitStack() as opened:
        sessions = _Sessions(server, [opened.enter_context(server.connect()) for _ in range(_SESSIONS)])

        def make(relation: Relation) -> Sequence[Index]:
            with sessions.transaction() as connection:
                tables.make(connection, staged, relation)
                tables.move(connection, staged, comparison, relation, changes[relation.name], frozen=True)
                tables.add_key(connection, staged, relation)  # takes a lock that no other index can be built beside
                tables.analyze(connection, staged, relation)
            return tables.indexes(staged, relation)

        def build(index: Index) -> None:
            with sessions.transaction() as connection:
                tables.build(connection, index)

        with sessions.transaction() as connection:
            clear(connection, server)
            connection.execute(CreateSchema(staged.schema))
            run(connection, f"comment on schema {identifier(staged.schema)} is {literal(MARK)}")
        with sessions.work():
            made = [sessions.begin(make, relation) for relation in largest_first]
            built = [sessions.begin(build, index) for each in as_completed(made) for index in each.result()]
            for each in as_completed(built):
                each.result()
    return sum(change.brought.count for change in changes.values())


def take_over(connection: Connection, server: Server, relations: Sequence[Relation]) -> None:
    """Moves the filled tables to where readers look, in the caller's transaction."""
    for relation in relations:
        table = named(server.staging_schema, relation.name)
        run(connection, f"alter table {table} set schema {identifier(server.schema)}")
    run(connection, f"drop schema {identifier(server.staging_schema)}")


def clear(connection: Connection, server: Server) -> None:
    """Drops what a publish left that ended early; a schema of that name that is somebody else's stays."""
    told = text("select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = :schema")
    if connection.execute(told, {"schema": server.staging_schema}).scalar() == MARK:
        run(connection, f"drop schema {identifier(server.staging_schema)} cascade")


class _Sessions:
    """Connections that share pieces of work, each of which takes the next free one for a transaction."""

    def __init__(self, server: Server, connections: Sequence[Connection]) -> None:
        self._server = server
        self._drivers: list[Any] = [each.connection.driver_connection for each in connections]
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for each in connections:
            self._free.put(each)
        self._pool = ThreadPoolExecutor(max_workers=len(connections), thread_name_prefix="staging")
        self._begun: list[Future[Any]] = []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Committed at the end of the block."""
        connection = self._free.get()
        try:
            with connection.begin():
                self._server.set_up(connection)
                yield connection
        finally:
            self._free.put(connection)

    def begin(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> Future[T]:
        """Begins a piece of work once a session is free."""
        future = self._pool.submit(work, *given, **named)
        self._begun.append(future)
        return future

    @contextmanager
    def work(self) -> Iterator[None]:
        """At the end of the block nothing runs any more; what still does when it ends by an error is cancelled."""
        try:
            yield
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            while wait(self._begun, timeout=0).not_done:
                for driver in self._drivers:
                    with suppress(*database_errors()):
                        driver.cancel_safe()
                wait(self._begun, timeout=1)  # between two statements there was nothing to cancel
