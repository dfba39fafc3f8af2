"""Reading the published file: read-only, and closed off from every other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from eventpipe.engine import closed_off, spill_folder
from eventpipe.errors import EventpipeError, UsageError
from eventpipe.interruption import interruptible
from eventpipe.project.folder import Project
from eventpipe.serving.reading import Column, QueryFailed
from eventpipe.sql import identifier as quoted
from eventpipe.sql import literal

if TYPE_CHECKING:
    import polars as pl

_READS = frozenset(
    {
        duckdb.StatementType.SELECT,
        duckdb.StatementType.EXPLAIN,
        duckdb.StatementType.CALL,
        duckdb.StatementType.PRAGMA,
    }
)
# What the engine says of the text of a query, as opposed to what happens while it runs.
_WRONG_QUERY = (
    duckdb.ParserException,
    duckdb.SyntaxException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.PermissionException,
    duckdb.InvalidInputException,
    duckdb.NotImplementedException,
)


class FileAnswer:
    """What the engine answers."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.columns: Sequence[Column] = [Column(each[0], str(each[1])) for each in connection.description or []]

    def fetch(self, rows: int) -> list[tuple[Any, ...]]:
        """The next rows, none at the end."""
        with explained():
            return interruptible(self._connection, partial(self._connection.fetchmany, rows))

    def batches(self, rows: int) -> tuple[Any, Iterator[Any]]:
        """The rows as Arrow record batches: the schema, and an iterator."""
        reader = self._connection.to_arrow_reader(rows)

        def following() -> Any:
            with explained():
                return interruptible(self._connection, partial(next, reader, None))

        return reader.schema, iter(following, None)

    def frame(self) -> pl.DataFrame:
        """All rows."""
        with explained():
            return interruptible(self._connection, self._connection.pl)


class PublishedFile:
    """The published tables as the run left them that published when it was opened."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def ask(self, query: str) -> FileAnswer:
        """The answer to one query. Raises UsageError, QueryFailed."""
        return FileAnswer(execute(self._connection, query))

    def snapshot(self) -> AbstractContextManager[object]:
        """The file does not change."""
        return nullcontext()

    def closest(self, text: str, slips: int, type: str | None, limit: int) -> list[str]:
        """Identifiers that at most so many slips of the keyboard turn into `text`, the likeliest first."""
        return closest(self._connection, text, slips, type, limit)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


def open_published(project: Project) -> duckdb.DuckDBPyConnection:
    """The published file, read-only and closed off. Raises UsageError when nothing is published yet."""
    if not project.analytics.exists():
        raise UsageError(
            f"{project.root} has published nothing yet: there is no {project.analytics}. "
            "Put exports into its folder exports/ and start `eventpipe run`."
        )
    # Connections of one process to one file share an instance, and its settings: they must be the same.
    settings = closed_off(project.settings.engine, spill_folder(project, "published"))
    try:
        connection = duckdb.connect(str(project.analytics), read_only=True, config=settings)
        # Connections of one process to one file share an instance, which the first of them locked.
        if connection.execute("select current_setting('lock_configuration')").fetchone() == (False,):
            connection.execute("set global TimeZone = 'UTC'")
            connection.execute("set global lock_configuration = true")
    except duckdb.Error as error:
        raise EventpipeError(
            f"The published tables {project.analytics} cannot be opened ({_first_line(error)}). If another "
            "program writes to that file, close it; `eventpipe run` publishes it anew."
        ) from error
    return connection


def execute(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyConnection:
    """Runs a query and returns the connection, to fetch its rows from.

    Raises UsageError when it is no query or names what does not exist, QueryFailed when it stops while it
    runs.
    """
    with explained():
        statements = connection.extract_statements(query)
        # Some queries (pivot) become several statements, which make temporary things first.
        preparing, last = statements[:-1], statements[-1:]
        reads = all(each.type in _READS for each in last)
        if not last or not reads or any(each.type != duckdb.StatementType.CREATE for each in preparing):
            raise UsageError(
                "That is not one query. Give one statement that reads: select, with, from, describe, "
                "summarize, show or explain. The published tables cannot be changed."
            )
        for statement in statements:
            interruptible(connection, partial(connection.execute, statement))
        return connection


@contextmanager
def explained() -> Iterator[None]:
    """Turns what the engine says of a query, also while rows are fetched, into UsageError or QueryFailed."""
    try:
        yield
    except _WRONG_QUERY as error:
        raise UsageError(f"The query is refused. {_paragraph(error)}") from error
    except duckdb.Error as error:
        raise QueryFailed(f"The query stopped. {_paragraph(error)}") from error


def as_of_published(connection: duckdb.DuckDBPyConnection) -> datetime:
    """The instant that the published tables were computed for. Raises EventpipeError if they do not say."""
    row = connection.execute(
        "select as_of from runs where run_status = 'published' order by run_started_at desc, run_id limit 1"
    ).fetchone()
    if row is None:
        raise EventpipeError("The published file names no run that published it. Run `eventpipe run --full-refresh`.")
    instant: datetime = row[0]
    return instant


def row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """The rows of every published table, by name."""
    found = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main' order by table_name"
    ).fetchall()
    counted = [f"select {literal(name)}, count(*) from main.{quoted(name)}" for (name,) in found]
    return dict(connection.execute(" union all ".join(counted)).fetchall()) if counted else {}


def closest(connection: duckdb.DuckDBPyConnection, text: str, slips: int, type: str | None, limit: int) -> list[str]:
    """Values of the engine's table `contact_identifiers` that at most so many slips turn into `text`."""
    rows = connection.execute(
        f"""
        select distinct identifier_value, damerau_levenshtein(lower(identifier_value), $1) as slips
        from contact_identifiers
        where abs(length(identifier_value) - length($1)) <= $2 and slips <= $2
            and {"true" if type is None else f"identifier_type = {literal(type)}"}
        order by slips, identifier_value
        limit {limit}
        """,
        [text, slips],
    ).fetchall()
    return [value for value, _ in rows]


def _paragraph(error: BaseException) -> str:
    """The engine's words without its drawing of where in the query."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())[:1000]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
