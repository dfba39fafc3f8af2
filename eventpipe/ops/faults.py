"""What can go wrong with the ops store itself, said so that a person can act on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from eventpipe.errors import EventpipeError


class OpsStoreError(EventpipeError):
    """The ops store cannot be used: damaged, of another version, out of reach or out of space.

    The transaction it came from is rolled back; what was committed before it stays.
    """


RESTORE = (
    "Restore it from a backup together with its -wal file, if it has one. To go on without it, move it away: "
    "a new one is made, but what only it knew (past decisions, deliveries, history) is lost."
)
_LOCKED = "stayed locked by another process. Wait until that ends (`eventpipe status`) and start again."

# By SQLite's primary result code (sqlite.org/rescode.html).
_SQLITE = {
    sqlite3.SQLITE_NOTADB: f"is not a SQLite database, or its header is damaged. {RESTORE}",
    sqlite3.SQLITE_CORRUPT: f"is damaged. {RESTORE}",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Check that its folder exists and may be written to.",
    sqlite3.SQLITE_READONLY: "may not be written to. Give this user write access to it and its folder.",
    sqlite3.SQLITE_PERM: "may not be opened. Give this user permission on the file and its folder.",
    sqlite3.SQLITE_FULL: "could not be written: the disk is full. Free some space and start again.",
    sqlite3.SQLITE_IOERR: "could not be read or written. Check the disk and its free space.",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}

# By PostgreSQL's SQLSTATE: a right that is missing, a transaction that may only read; limits of idle and of long transactions.
_FORBIDDEN = ("42501", "25006")
_ENDED = ("25P03", "25P04")


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turns faults of the store at `place` into OpsStoreError; other database errors are bugs and pass."""
    try:
        yield
    except (exc.DBAPIError, sqlite3.Error) as error:
        explanation = _explanation(error)
        if explanation is None:
            raise
        raise OpsStoreError(f"The ops store {place} {explanation}") from error


def _explanation(error: exc.DBAPIError | sqlite3.Error) -> str | None:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", None)  # absent on errors that the Python module raises itself
        return None if code is None else _SQLITE.get(code & 0xFF)
    state = getattr(cause, "sqlstate", None)
    reason = str(cause).strip().partition("\n")[0].rstrip(".")
    if state in _FORBIDDEN:
        return (
            f"may not be used by this user ({reason}). Give EVENTPIPE_OPS the address of eventpipe_writer, which `eventpipe "
            "admin init-db` makes, on a server that takes writes."
        )
    # Without a code it is the driver that speaks, who has no connection.
    if state is None or state in _ENDED or isinstance(error, exc.OperationalError | exc.InterfaceError):
        return (
            f"cannot be reached, or ended the connection ({reason}). Check the address and the server, and start again."
        )
    return None
