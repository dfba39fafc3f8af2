"""The PostgreSQL server that serves the published tables: reaching it, and what can go wrong there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text
from sqlalchemy.pool import NullPool

from eventpipe.errors import EventpipeError, StageFailed, UsageError
from eventpipe.ops.engines import ENCODING, encoding_refusal, settle
from eventpipe.project.serving import ServingSettings
from eventpipe.sql import identifier, literal

OLDEST = 15
"""The first PostgreSQL that knows `unique nulls not distinct`."""

WRITER = "eventpipe_writer"
READER = "eventpipe_reader"
APPLICATION = "eventpipe"

# Whether this user may act as the writer, and the schema is the writer's. Roles belong to all databases of a server.
_IS_WRITERS = text("""
    select pg_has_role(r.oid, 'member') and exists (
        select from pg_namespace n where n.nspname = :schema and n.nspowner = r.oid
    )
    from pg_roles r where r.rolname = :writer
    """)

# A statement whose client was killed, which may hold locks for minutes, ends by itself: where the system can tell.
_NOTICES_A_DEAD_CLIENT = text(
    "select set_config('client_connection_check_interval', '1s', true) where version() ~ 'linux|darwin|bsd'"
)

# A publish takes as long as its rows do; each of its statements has an end. PostgreSQL knows this limit since 17.
_TAKES_ITS_TIME = text("select set_config(name, '0', true) from pg_settings where name = 'transaction_timeout'")

_CONNECTING = {
    "connect_timeout": 10,
    "application_name": APPLICATION,
    # Rows travel as the engine writes them. The server takes them for its own encoding where nothing is said.
    "client_encoding": ENCODING,
    # A server whose machine is gone says nothing: notice within two minutes.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
}


class ServerUnreachable(StageFailed):
    """The server cannot be reached, or ended the connection."""


class PublishBlocked(StageFailed):
    """Nothing failed: somebody who reads, or another publish, held a lock for longer than `serving.lock_timeout`."""


@dataclass(frozen=True)
class Server:
    """Where it is, the schema of the tables there, and how long a publish waits."""

    url: str = field(repr=False)
    schema: str
    mask: tuple[str, ...]
    lock_timeout: timedelta
    statement_timeout: timedelta

    @classmethod
    def of(cls, settings: ServingSettings) -> Server | None:
        """The server that the settings name, if they do."""
        if settings.url is None:
            return None
        return cls(settings.url, settings.namespace, settings.mask, settings.lock_timeout, settings.statement_timeout)

    @property
    def masked_schema(self) -> str:
        """The schema of the masked views."""
        return f"{self.schema}_masked"

    @property
    def staging_schema(self) -> str:
        """The schema of tables that are being filled."""
        return f"{self.schema}_staging"

    @property
    def place(self) -> str:
        """The address without password and options, for messages."""
        return make_url(self.url).set(drivername="postgresql", query={}).render_as_string(hide_password=True)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection of its own, closed at the end of the block. Errors: `ServerUnreachable`, `UsageError`."""
        engine = self._engine()
        try:
            try:
                connection = engine.connect()
            except exc.OperationalError as error:
                raise ServerUnreachable(
                    f"PostgreSQL at {self.place} cannot be reached: {reason(error)}. The tables there are as they were; "
                    "check the address and the server, and start again."
                ) from error
            except exc.ProgrammingError as error:  # an option of the address that the driver does not know
                raise UsageError(f"The address of PostgreSQL at {self.place} is wrong: {reason(error)}.") from error
            with connection:
                self._refuse_unfit(connection)
                yield connection
        finally:
            engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The same as the role that owns the tables, with a transaction begun: the caller commits it, or it is undone."""
        with self.connect() as connection:
            self.set_up(connection)
            yield connection

    def set_up(self, connection: Connection) -> None:
        """Makes a transaction that was begun one of the owner of the tables, with the settings of a publish."""
        if self.is_writers(connection):
            connection.execute(text(f"set local role {WRITER}"))
        for setting, value in (
            ("timezone", "UTC"),
            ("lock_timeout", milliseconds(self.lock_timeout)),
            ("statement_timeout", milliseconds(self.statement_timeout)),
            # It holds the claim while other sessions fill tables.
            ("idle_in_transaction_session_timeout", 0),
            # Rows that change are matched in memory; entries of an index of JSON are sorted in by the thousand.
            ("work_mem", "64MB"),
            ("gin_pending_list_limit", "64MB"),
        ):
            connection.execute(text(f"set local {setting} = {literal(value)}"))
        connection.execute(_NOTICES_A_DEAD_CLIENT)
        connection.execute(_TAKES_ITS_TIME)

    def is_writers(self, connection: Connection) -> bool:
        """Whether the tables are the writer's, and this user may act as it."""
        return bool(connection.execute(_IS_WRITERS, {"writer": WRITER, "schema": self.schema}).scalar())

    def _engine(self) -> Engine:
        try:
            engine = create_engine(
                make_url(self.url).set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                poolclass=NullPool,
                connect_args=_CONNECTING,
            )
        except ModuleNotFoundError as error:
            raise UsageError("Serving from PostgreSQL needs its driver: install eventpipe[postgres].") from error
        event.listen(engine, "connect", settle)
        return engine

    def _refuse_unfit(self, connection: Connection) -> None:
        version = connection.dialect.server_version_info
        if version is not None and int(version[0]) < OLDEST:
            raise EventpipeError(
                f"PostgreSQL at {self.place} is version {version[0]}; the published tables need {OLDEST} or later."
            )
        if refusal := encoding_refusal(connection, self.place):
            raise EventpipeError(refusal)


def run(connection: Connection, sql: str) -> int:
    """Executes one statement as it is written, in the connection's transaction; the rows that it changed.

    Names and comments of users may hold `%` and `:`, which SQLAlchemy and the driver would take for parameters.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.rowcount)


def named(schema: str, relation: str) -> str:
    """A relation as SQL names it."""
    return f"{identifier(schema)}.{identifier(relation)}"


def milliseconds(duration: timedelta) -> int:
    """A duration as PostgreSQL's settings take it; never 0, which would be no limit."""
    return max(1, int(duration.total_seconds() * 1000))


def reason(error: BaseException) -> str:
    """The first line of what the server or the driver said."""
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0][:300].rstrip(".")


def detail(error: BaseException) -> str:
    """What the server added to it, empty where that is nothing."""
    cause = getattr(error, "orig", None) or error
    told = getattr(getattr(cause, "diag", None), "message_detail", None) or ""
    return "; ".join(line.strip().rstrip(".") for line in told.splitlines())[:1000]


def state_of(error: BaseException) -> str | None:
    """PostgreSQL's code of an error (SQLSTATE), None where it is the connection that broke."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlstate", None)
