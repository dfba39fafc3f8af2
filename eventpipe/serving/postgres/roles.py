"""The roles of the server: one that writes the published tables, one that reads them and no more.

Whoever sets the server up calls `set_up`, once or many times. What a role may read is granted by the publish too, as
the owner of the tables: by default privileges on what comes later, and by itself on what there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateSchema

from eventpipe.errors import StageFailed
from eventpipe.ops.engines import POSTGRES_SCHEMA
from eventpipe.serving.postgres.faults import database_errors
from eventpipe.serving.postgres.server import (
    READER,
    WRITER,
    Server,
    detail,
    milliseconds,
    named,
    reason,
    run,
    state_of,
)
from eventpipe.sql import identifier, literal

# A right that is missing, a transaction that may only read, a role that would be a member of itself.
_FORBIDDEN = ("42501", "25006", "0LP01")

_MAKE_LARGE_OBJECTS = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)")


_OURS = text("""
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = :schema and c.relkind in ('r', 'p', 'v') and pg_get_userbyid(c.relowner) = current_user
    """)


@dataclass(frozen=True)
class Limits:
    """How long a reader may take: a query, and a transaction that does nothing."""

    statement: timedelta = timedelta(minutes=5)
    idle: timedelta = timedelta(minutes=5)


def set_up(connection: Connection, server: Server, passwords: Mapping[str, str | None], limits: Limits) -> None:
    """Makes or corrects roles, schemas and privileges, in the caller's transaction. Doing it again changes nothing.

    `passwords` by role; without one a role keeps the one that it has. Errors: `StageFailed` where the connection's user may
    not, or the server does not.
    """
    try:
        _set_up(connection, server, passwords, limits)
    except database_errors() as error:
        told = f"{reason(error)}. {detail(error)}".rstrip(". ")
        if state_of(error) not in _FORBIDDEN:
            raise StageFailed(f"PostgreSQL at {server.place} was not set up: {told}. Nothing was changed.") from error
        raise StageFailed(
            f"The user of {server.place} may not set it up: {told}. Nothing was changed. It takes a superuser, or the owner "
            f"of the database who may make roles (createrole) and, where there are {WRITER} and {READER} already, has them "
            "`with admin option`; give that user's address as EVENTPIPE_ADMIN_URL."
        ) from error


def _set_up(connection: Connection, server: Server, passwords: Mapping[str, str | None], limits: Limits) -> None:
    database = identifier(str(connection.execute(text("select current_database()")).scalar_one()))
    known: set[str] = set(connection.execute(text("select rolname from pg_roles")).scalars())
    for role in (WRITER, READER):
        if role not in known:
            run(connection, f"create role {role} login")
        if password := passwords.get(role):
            run(connection, f"alter role {role} password {literal(_verifier(connection, role, password))}")
        run(connection, f"grant connect on database {database} to {role}")
    me = str(connection.execute(text("select current_user")).scalar_one())
    run(connection, f"grant {WRITER} to {identifier(me)}")  # the owner of a schema is made by a member
    made = (server.schema, server.masked_schema, POSTGRES_SCHEMA)
    for schema in made:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    # A publish by somebody else that was killed left the last one.
    for schema in (*made, *({server.staging_schema} & set(inspect(connection).get_schema_names()))):
        run(connection, f"alter schema {identifier(schema)} owner to {WRITER}")
        run(connection, f"revoke all on schema {identifier(schema)} from public")
    # Everybody may make temporary tables where nothing is said: a reader would fill the disk with them.
    run(connection, f"revoke temporary on database {database} from public")
    run(connection, f"grant create, temporary on database {database} to {WRITER}")
    # The same of large objects, which lie in no schema; only a superuser can say otherwise.
    if connection.execute(text("select rolsuper from pg_roles where rolname = current_user")).scalar_one():
        run(connection, f"revoke execute on function {', '.join(_MAKE_LARGE_OBJECTS)} from public")
    for setting, value in _reader_settings(server, limits):
        run(connection, f"alter role {READER} in database {database} set {setting} = {literal(value)}")
    _own(connection, server)
    run(connection, f"set local role {WRITER}")
    grant_reading(connection, server)
    run(connection, "reset role")


def grant_reading(connection: Connection, server: Server) -> None:
    """Lets the reader read the published tables, or their masked views alone where there is a mask; by the owner.

    Does nothing on a server without the roles.
    """
    known: set[str] = set(connection.execute(text("select rolname from pg_roles")).scalars())
    if READER not in known:
        return
    schemas = set(inspect(connection).get_schema_names())
    for schema, is_read in ((server.schema, not server.mask), (server.masked_schema, bool(server.mask))):
        if schema not in schemas:
            continue
        name = identifier(schema)
        verb, side = ("grant", "to") if is_read else ("revoke", "from")
        run(connection, f"{verb} usage on schema {name} {side} {READER}")
        # What others keep there is theirs to grant.
        ours: Sequence[str] = connection.execute(_OURS, {"schema": schema}).scalars().all()
        if ours:
            run(connection, f"{verb} select on {', '.join(named(schema, each) for each in ours)} {side} {READER}")
        run(connection, f"alter default privileges in schema {name} {verb} select on tables {side} {READER}")


def _reader_settings(server: Server, limits: Limits) -> Iterator[tuple[str, str | int]]:
    yield "default_transaction_read_only", "on"
    yield "statement_timeout", milliseconds(limits.statement)
    yield "idle_in_transaction_session_timeout", milliseconds(limits.idle)
    # A reader never has to know whether there is a mask.
    yield "search_path", server.masked_schema if server.mask else server.schema


def _own(connection: Connection, server: Server) -> None:
    """Gives the writer what was published before there were roles."""
    found = connection.execute(
        text(
            """
            select n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = any(:schemas) and c.relkind in ('r', 'p', 'v') and c.relowner <> :writer::regrole::oid
            """.replace(":writer::regrole::oid", f"'{WRITER}'::regrole::oid")
        ),
        {"schemas": [server.schema, server.masked_schema, server.staging_schema, POSTGRES_SCHEMA]},
    )
    for row in found.all():
        what = "view" if row.relkind == "v" else "table"
        run(connection, f"alter {what} {named(row.nspname, row.relname)} owner to {WRITER}")


def _verifier(connection: Connection, role: str, password: str) -> str:
    """The password as the server keeps it: it travels, and stands in logs, as a hash."""
    driver = connection.connection.driver_connection
    assert driver is not None
    hashed = driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return str(hashed.decode())
