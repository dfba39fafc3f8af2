"""Writing the served tables anew, so that rows that were deleted are in no file of the server any more."""

from __future__ import annotations

from sqlalchemy import inspect

from eventpipe.errors import StageFailed
from eventpipe.serving.postgres.faults import database_errors
from eventpipe.serving.postgres.server import WRITER, Server, milliseconds, named, reason, run


def compact(server: Server) -> None:
    """Rewrites every table of the server's schema, one after the other. Who reads a table meanwhile waits for it.

    Errors: `ServerUnreachable`, `StageFailed` where a reader holds a table for longer than `serving.lock_timeout`. What was
    rewritten stays so.
    """
    with server.connect() as connection:
        try:
            tables = sorted(inspect(connection).get_table_names(schema=server.schema))
            is_writers = server.is_writers(connection)
            connection.rollback()
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")  # no transaction may rewrite a table so
            if is_writers:
                run(alone, f"set role {WRITER}")
            run(alone, f"set lock_timeout = {milliseconds(server.lock_timeout)}")
            run(alone, f"set statement_timeout = {milliseconds(server.statement_timeout)}")
            for table in tables:
                run(alone, f"vacuum (full, analyze) {named(server.schema, table)}")
        except database_errors() as error:
            raise StageFailed(
                f"No row of the tables at {server.place} is of who was erased, but not all of their files could be written anew: "
                f"{reason(error)}. End what holds a table up, or wait longer (serving.lock_timeout), and call "
                "`eventpipe erase --resume`."
            ) from error
