"""Reading the published tables on the server, in its SQL and with the reader's own rights. Nothing is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.types.string import TextLoader

from eventpipe.errors import EventpipeError, UsageError
from eventpipe.project.folder import Project
from eventpipe.serving.postgres.publication import NAME
from eventpipe.serving.postgres.server import Server, named, reason
from eventpipe.serving.reading import Column, QueryFailed
from eventpipe.sql import identifier, literal

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

_BATCH = 10_000
_CANDIDATES = 10_000
_TYPES = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "json": "JSON",
    "jsonb": "JSON",
}
_READ_AS_VALUES = frozenset({*_TYPES, "numeric", "text", "varchar", "bpchar", "name"}) - {"json", "jsonb"}
_READS = ("select", "with", "values", "table", "show", "explain")
_VERB = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
_LONGEST = 38
_UNSCALED = f"DECIMAL({_LONGEST},10)"
"""Numbers that the server computed say no scale; in frames they have ten places."""


class ServerAnswer:
    """What the server answers, row by row as they are asked for. `ended` is called when there are no more."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]], query: str, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._rows = _streamed(cursor, query)
        self._ahead = self._next(1)
        if cursor.description is None:  # the driver learns the columns from the first row
            cursor.pgresult = _described(cursor.connection, query)
        self.columns: Sequence[Column] = [Column(each.name, _type(cursor, each)) for each in cursor.description or []]

    def fetch(self, rows: int) -> list[tuple[Any, ...]]:
        """The next rows, none at the end."""
        found, self._ahead = self._ahead[:rows], self._ahead[rows:]
        return found + self._next(rows - len(found))

    def close(self) -> None:
        """Asks for no more rows."""
        self._rows.close()

    def batches(self, rows: int) -> tuple[Any, Iterator[Any]]:
        """The rows as Arrow record batches: the schema, and an iterator."""
        schema = self._framed([]).to_arrow().schema
        return schema, (
            batch
            for page in iter(lambda: self.fetch(rows), [])
            for batch in self._framed(page).to_arrow().cast(schema).to_batches()
        )

    def frame(self) -> pl.DataFrame:
        """All rows."""
        import polars as pl

        return pl.concat([self._framed([]), *(self._framed(page) for page in iter(lambda: self.fetch(_BATCH), []))])

    def _framed(self, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
        import polars as pl

        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise UsageError("Two columns of the query have one name: name them apart with `as`.")
        schema = {each.name: _frame_type(each.type) for each in self.columns}
        for place, (name, kind) in enumerate(schema.items()):
            if isinstance(kind, pl.Decimal) and not all(_fits(row[place], kind) for row in rows):
                raise QueryFailed(
                    f"The query stopped. A number of the column {name} has no place in {kind.precision} digits, {kind.scale} "
                    "of them behind the point: round it, or cast it to text or to double precision."
                )
        try:
            return pl.DataFrame(rows, schema=schema, orient="row")
        except pl.exceptions.PolarsError as error:
            raise QueryFailed(f"The query stopped. Its rows make no frame: {reason(error)}.") from error

    def _next(self, count: int) -> list[tuple[Any, ...]]:
        try:
            found = _explained(lambda: list(islice(self._rows, count)))
        except EventpipeError:
            self._ended()
            raise
        if len(found) < count:
            self._ended()
        return found


class PublishedSchema:
    """The schema that the project's server serves; the masked one where that is all that this user may read."""

    def __init__(self, project: Project) -> None:
        server = Server.of(project.settings.serving)
        assert server is not None
        self._server = server
        self._answer: ServerAnswer | None = None
        self._is_snapshot = False
        with ExitStack() as opened:
            connection = opened.enter_context(server.connect()).connection.driver_connection
            assert connection is not None
            self._connection: psycopg.Connection[tuple[Any, ...]] = connection
            try:
                self._prepare(project)
            except psycopg.Error as error:
                raise EventpipeError(f"PostgreSQL at {server.place} refuses to be read: {reason(error)}.") from error
            self._opened = opened.pop_all()

    def ask(self, query: str) -> ServerAnswer:
        """The answer to one query. Raises UsageError, QueryFailed.

        It is a transaction that can only read, whatever this user may and whatever a query set before, and it ends with
        its last row: a reader that does nothing holds up no change of columns.
        """
        verb = _VERB.match(query)
        if verb is None or verb[1].lower() not in _READS:
            raise UsageError(
                "That is not one query. Give one statement that reads: select, with, values, table, show or explain. The "
                "published tables cannot be changed."
            )
        self._end()
        self._answer = ServerAnswer(self._connection.cursor(), query, self._end)
        return self._answer

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """The queries in the block see one run's tables."""
        self._end()
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._is_snapshot = True
        try:
            yield
        finally:
            self._is_snapshot = False
            self._end()
            self._connection.isolation_level = None

    def closest(self, text: str, slips: int, type: str | None, limit: int) -> list[str]:
        """Identifiers that at most so many slips of the keyboard turn into `text`, the likeliest first.

        The server offers those of about its length that begin or end as it does; the engine counts their slips.
        """
        import duckdb

        from eventpipe.serving.file import closest

        found = self.ask(
            f"""
            select distinct identifier_type, identifier_value from contact_identifiers
            where abs(length(identifier_value) - {len(text)}) <= {slips}
                and (left(lower(identifier_value), 2) = {literal(text[:2])}
                    or right(lower(identifier_value), 4) = {literal(text[-4:])})
            limit {_CANDIDATES}
            """
        ).fetch(_CANDIDATES)
        with duckdb.connect() as engine:
            engine.execute("create table contact_identifiers (identifier_type varchar, identifier_value varchar)")
            if found:
                engine.executemany("insert into contact_identifiers values (?, ?)", found)
            return closest(engine, text, slips, type, limit)

    def close(self) -> None:
        """Ends the connection."""
        if self._answer is not None:
            self._answer.close()
        self._opened.close()

    def _end(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        if not self._is_snapshot:
            self._connection.rollback()

    def _prepare(self, project: Project) -> None:
        connection, server = self._connection, self._server
        for kind in connection.adapters.types:
            if kind.name not in _READ_AS_VALUES:
                connection.adapters.register_loader(kind.oid, TextLoader)
        readable = "select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = %s"
        plain = connection.execute(readable, [server.schema]).fetchone()
        if plain is None:
            raise UsageError(
                f"{project.root} has published nothing to {server.place} yet: there is no schema {server.schema}. "
                "Put exports into its folder exports/ and start `eventpipe run`."
            )
        table = named(server.schema, NAME)
        is_empty = plain == (True,) and connection.execute("select to_regclass(%s) is null", [table]).fetchone() == (
            True,
        )
        if is_empty:
            raise UsageError(
                f"{project.root} has published nothing to {server.place} yet. Put exports into its folder exports/ and "
                "start `eventpipe run`."
            )
        schema = server.schema if plain == (True,) else server.masked_schema
        connection.execute(f"set search_path = {identifier(schema)}".encode())
        connection.commit()
        connection.read_only = True


def _explained(work: Callable[[], T]) -> T:
    """Turns what the server says of a query into UsageError or QueryFailed."""
    try:
        return work()
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise UsageError(f"The query is refused. {reason(error)}. The published tables cannot be changed.") from error
    except (psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
        if error.sqlstate is None or isinstance(error, psycopg.errors.SyntaxError):
            raise UsageError(
                f"That is not one query ({reason(error)}). Give one statement that reads: select, with, values, show or explain."
            ) from error
        raise UsageError(f"The query is refused. {reason(error)}.") from error
    except psycopg.Error as error:
        raise QueryFailed(f"The query stopped. {reason(error)}.") from error


def _streamed(cursor: psycopg.Cursor[tuple[Any, ...]], query: str) -> Generator[tuple[Any, ...]]:
    yield from cursor.stream(query.encode(), size=1000)


def _described(connection: psycopg.Connection[Any], query: str) -> psycopg.pq.abc.PGresult:
    """The columns of a query, as the server plans it."""
    connection.pgconn.prepare(b"", query.encode())
    return connection.pgconn.describe_prepared(b"")


def _type(cursor: psycopg.Cursor[Any], described: psycopg.Column) -> str:
    found = cursor.adapters.types.get(described.type_code)
    if found is None:
        return "VARCHAR"
    if found.name == "numeric":
        is_scaled = described.precision is not None and described.precision <= _LONGEST
        kind = f"DECIMAL({described.precision},{described.scale})" if is_scaled else _UNSCALED
    else:
        kind = _TYPES.get(found.name, "VARCHAR")
    return f"{kind}[]" if described.type_code == found.array_oid else kind


def _fits(value: Decimal | None, kind: pl.Decimal) -> bool:
    """Whether a number has so many digits before the point at most."""
    return value is None or (value.is_finite() and value.adjusted() < (kind.precision or _LONGEST) - kind.scale)


def _frame_type(kind: str) -> Any:
    import polars as pl

    if kind.endswith("[]"):
        return pl.List(_frame_type(kind.removesuffix("[]")))
    if kind.startswith("DECIMAL("):
        precision, scale = kind.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pl.Decimal(int(precision), int(scale))
    return {
        "BOOLEAN": pl.Boolean(),
        "SMALLINT": pl.Int16(),
        "INTEGER": pl.Int32(),
        "BIGINT": pl.Int64(),
        "FLOAT": pl.Float32(),
        "DOUBLE": pl.Float64(),
        "DATE": pl.Date(),
        "TIMESTAMP": pl.Datetime("us"),
        "TIMESTAMP WITH TIME ZONE": pl.Datetime("us", "UTC"),
    }.get(kind, pl.String())
