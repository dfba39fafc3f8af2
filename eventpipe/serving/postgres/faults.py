"""What stops a publish to PostgreSQL: worth another try or not, and in the words of whoever has to act on it."""

from __future__ import annotations

from sqlalchemy import exc, text

from eventpipe.errors import StageFailed
from eventpipe.serving.postgres.migration import SchemaRefused
from eventpipe.serving.postgres.server import (
    WRITER,
    PublishBlocked,
    Server,
    ServerUnreachable,
    detail,
    reason,
    state_of,
)

_LOCKED, _TIMEOUT = "55P03", "57014"
_BUILT_UPON = ("2BP01", "0A000")  # something depends on it, or a view reads a column whose type changes
_FORBIDDEN = ("25006", "42501")  # a transaction that may only read, a right that is missing
_TRIED_AGAIN = ("40P01", "40001")  # deadlock, serialisation failure
_BROKEN_CONNECTION = ("08", "57P")  # classes: connection exceptions, the server shutting down
_MOST = 5
"""Holders of locks that are named."""
_UNTOUCHED = "The tables there are still those of the run before."


def database_errors() -> tuple[type[Exception], ...]:
    """What a publish raises of the server: SQLAlchemy's, and the driver's own while rows are copied."""
    import psycopg  # late: it is installed where a server serves

    return exc.DBAPIError, psycopg.Error


def is_connection_lost(error: Exception) -> bool:
    """Whether the connection broke, so that nobody knows what the server did last."""
    state = state_of(error)
    return state is None or state.startswith(_BROKEN_CONNECTION)


def is_worth_another_try(error: Exception) -> bool:
    """Whether the same publish may well succeed."""
    return is_connection_lost(error) or state_of(error) in _TRIED_AGAIN


def explained(server: Server, error: Exception) -> StageFailed:
    """The error as one paragraph."""
    state = state_of(error)
    if state == _LOCKED:
        return PublishBlocked(
            f"The publish to {server.place} waited {server.lock_timeout.total_seconds():.0f} s for a lock and gave up; "
            f"nothing was changed. {_holders(server)} {_UNTOUCHED} End what holds it and run again, or wait longer "
            "(serving.lock_timeout)."
        )
    if state == _TIMEOUT:
        return StageFailed(
            f"The publish to {server.place} was cancelled: a statement took longer than serving.statement_timeout "
            f"({server.statement_timeout}), or somebody cancelled it. {_UNTOUCHED} Raise it and run again."
        )
    if state in _FORBIDDEN:
        return StageFailed(
            f"The user of {server.place} may not publish there: {reason(error)}. {_UNTOUCHED} Give a run the address of "
            f"{WRITER} (EVENTPIPE_SERVING_URL), and readers theirs; `eventpipe admin init-db` makes both."
        )
    if state in _BUILT_UPON and (told := detail(error)):
        return SchemaRefused(
            f"The tables at {server.place} cannot become those of this run while others build on them as they are: {told}. "
            f"{_UNTOUCHED} Keep the definitions of what is in the way (pg_get_viewdef), drop it, run again, and make it anew."
        )
    if is_connection_lost(error):
        return ServerUnreachable(
            f"PostgreSQL at {server.place} ended the connection again and again: {reason(error)}. {_UNTOUCHED} "
            "Check the server and run again."
        )
    return StageFailed(f"PostgreSQL at {server.place} refused the publish ({state}): {reason(error)}. {_UNTOUCHED}")


def _holders(server: Server) -> str:
    """Who holds locks on the tables, in a sentence."""
    query = text("""
        select a.pid, a.usename, a.application_name, a.xact_start, bool_or(l.mode <> 'AccessShareLock') as is_strong
        from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
        join pg_stat_activity a on a.pid = l.pid
        where n.nspname = any(:schemas) and l.granted and a.pid <> pg_backend_pid() and a.datname = current_database()
        group by a.pid, a.usename, a.application_name, a.xact_start order by a.xact_start, a.pid limit 100
        """)
    try:
        with server.connect() as connection:
            found = connection.execute(
                query, {"schemas": [server.schema, server.masked_schema, server.staging_schema]}
            ).all()
    except (StageFailed, exc.DBAPIError):
        return ""
    if not found:
        return "Who held it is gone by now."
    # Who only reads is in the way of a change of columns, and of nothing else.
    strong = [row for row in found if row.is_strong] or found
    told = "; ".join(
        f"process {pid} of {user}"
        + (f" ({program})" if program else "")
        + (f", in a transaction since {since:%H:%M:%S}" if since else "")  # of another role's the server does not say
        for pid, user, program, since, _ in strong[:_MOST]
    )
    return f"Held by: {told}."
