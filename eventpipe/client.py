"""The published tables from Python, read-only (spec 1, section 7).

    from eventpipe.client import connect

    with connect("myshop") as shop:
        shop.timeline("ada@example.com")        # a polars frame; .to_pandas() for pandas users
        shop.sql("select count(*) from events")

What is opened is `analytics.duckdb` as the last good run left it. It is closed off: nothing can be written,
and no query reads or writes any other file (spec 5, security). A connection goes on reading the tables it was
opened on when a run replaces them; connect again for the new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb

from eventpipe.errors import EventpipeError, UsageError
from eventpipe.identity.meant import meant
from eventpipe.interruption import interruptible
from eventpipe.project.folder import Project, load_project
from eventpipe.sql import identifier as quoted
from eventpipe.sql import literal

if TYPE_CHECKING:
    import polars as pl

CONTACT_ID = "contact_id"
_SUGGESTIONS = 3
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


class QueryFailed(EventpipeError):
    """A query that was well-formed stopped while it ran: a value it could not convert, memory, temporary
    space.
    """


class UnknownContact(EventpipeError):
    """No contact, or more than one, answers to an identifier."""


@dataclass(frozen=True)
class ContactKey:
    """A contact, and the identifier that it was found by (`type` is `contact_id` where that was given)."""

    workspace_id: str
    contact_id: str
    type: str
    value: str


def connect(directory: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Client:
    """The published tables of the project in `directory`, else in EVENTPIPE_PROJECT, else in the current
    folder.

    Raises UsageError where there is no project or nothing is published yet, ConfigurationError where its
    files are wrong.
    """
    project = load_project(None if directory is None else Path(directory), os.environ if environ is None else environ)
    return Client(project)


class Client:
    """An open connection to the published tables; a context manager."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._connection = open_published(project)

    def sql(self, query: str) -> pl.DataFrame:
        """The rows of one query.

        Raises UsageError when it is no query or names what does not exist, QueryFailed when it stops while it
        runs.
        """
        return self._frame(query)

    def contact(self, identifier: str, type: str | None = None) -> pl.DataFrame:
        """The row of `contacts` for who is known by `identifier` (any type, or a contact_id).

        Raises UnknownContact when nobody, or more than one contact, is known by it; `type` narrows it down.
        """
        key = find_contact(self._connection, self._project, identifier, type)
        return self._frame(contact_sql(key))

    def timeline(self, identifier: str, type: str | None = None) -> pl.DataFrame:
        """The rows of `contact_timeline` for who is known by `identifier`, newest first. Raises as `contact`
        does.
        """
        key = find_contact(self._connection, self._project, identifier, type)
        return self._frame(timeline_sql(key))

    def segment(self, name: str) -> pl.DataFrame:
        """The members of a segment: the columns of `contacts`, and `entered_at`, by contact_id.

        Raises UsageError when no segment of the name is defined or was published.
        """
        published = self._frame(f"select segment from segment_history where segment = {literal(name)} limit 1")
        if name not in self._project.segments.by_name and published.is_empty():
            known = ", ".join(sorted(self._project.segments.by_name)) or "none"
            raise UsageError(f"There is no segment {name!r}. Defined are: {known}.")
        return self._frame(
            "select contacts.* exclude (run_id), members.entered_at"
            " from segment_members as members join contacts using (workspace_id, contact_id)"
            f" where members.segment = {literal(name)} order by contacts.contact_id"
        )

    def rfm(self) -> pl.DataFrame:
        """The rows of `contact_rfm`, by contact and currency."""
        return self._frame("select * exclude (run_id) from contact_rfm order by workspace_id, contact_id, currency")

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self, query: str) -> pl.DataFrame:
        with explained():
            return interruptible(self._connection, execute(self._connection, query).pl)


def open_published(project: Project) -> duckdb.DuckDBPyConnection:
    """The published file, read-only and closed off. Raises UsageError when nothing is published yet."""
    if not project.analytics.exists():
        raise UsageError(
            f"{project.root} has published nothing yet: there is no {project.analytics}. "
            "Put exports into its folder exports/ and start `eventpipe run`."
        )
    engine = project.settings.engine
    settings = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # A table name never means a variable of the calling program.
        "python_enable_replacements": "false",
        "memory_limit": engine.memory,
        "temp_directory": str(project.state / "query.tmp"),
        "max_temp_directory_size": engine.temp_space,
        **({"threads": str(engine.threads)} if engine.threads else {}),
    }
    try:
        connection = duckdb.connect(str(project.analytics), read_only=True, config=dict(settings))
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


def find_contact(
    connection: duckdb.DuckDBPyConnection, project: Project, identifier: str, type: str | None = None
) -> ContactKey:
    """The contact that is known by `identifier`: one of its identifiers, as intake would normalise it, or its
    id.

    Raises UnknownContact when nobody or more than one contact is, UsageError for a type that is not declared.
    """
    names = (*project.settings.identity.names, CONTACT_ID)
    if type is not None and type not in names:
        raise UsageError(f"There is no identifier type {type!r} in this project: take one of {', '.join(names)}.")
    (meanings,) = meant(project, [identifier])
    candidates = [each for each in (*meanings, (CONTACT_ID, identifier.strip())) if type in (None, each[0])]
    wanted = ", ".join(f"({literal(kind)}, {literal(value)})" for kind, value in candidates) or "(null, null)"
    found = connection.execute(
        f"""
        with wanted (type, value) as (values {wanted})
        select workspace_id, contact_id, type, value
        from contact_identifiers join wanted on identifier_type = type and identifier_value = value
        union
        select workspace_id, contact_id, type, value
        from contacts join wanted on type = {literal(CONTACT_ID)} and contact_id = value
        order by all
        """
    ).fetchall()
    keys = [ContactKey(*row) for row in found]
    if not keys:
        raise UnknownContact(nobody(connection, identifier, type, names))
    if len({(key.workspace_id, key.contact_id) for key in keys}) > 1:
        listed = ", ".join(f"{key.contact_id} by {key.type}" for key in keys)
        raise UnknownContact(
            f"{identifier!r} is known of more than one contact: {listed}. Give the contact's id, or the type "
            "with --type."
        )
    return keys[0]


def contact_sql(key: ContactKey) -> str:
    """The query for a contact's row."""
    return f"from contacts where {_is(key)}"


def timeline_sql(key: ContactKey, limit: int | None = None) -> str:
    """The query for a contact's timeline, newest first."""
    return (
        f"from contact_timeline where {_is(key)}"
        " order by occurred_at desc, event_id, version_number desc, entry_type"
        + ("" if limit is None else f" limit {limit}")
    )


def identifiers_sql(key: ContactKey) -> str:
    """The query for what a contact is known by, the last seen first."""
    order = "last_seen_at desc, identifier_type, identifier_value"
    return f"from contact_identifiers where {_is(key)} order by {order}"


def _is(key: ContactKey) -> str:
    return f"workspace_id = {literal(key.workspace_id)} and contact_id = {literal(key.contact_id)}"


def nobody(connection: duckdb.DuckDBPyConnection, identifier: str, type: str | None, names: Sequence[str]) -> str:
    """That nobody is known by an identifier, and who may have been meant."""
    close = _close_to(connection, identifier, type)
    meant = (
        f" Did you mean {' or '.join(close)}?"
        if close
        else f" It was looked for as {', '.join([type] if type else names)}."
    )
    return f"No contact is known by {identifier!r} in the published tables.{meant}"


def _close_to(connection: duckdb.DuckDBPyConnection, identifier: str, type: str | None) -> list[str]:
    """Identifiers that a few slips of the keyboard turn into the given one."""
    text = " ".join(identifier.split()).lower()[:100]
    slips = max(1, min(4, len(text) // 4))
    rows = connection.execute(
        f"""
        select distinct identifier_value, damerau_levenshtein(lower(identifier_value), $1) as slips
        from contact_identifiers
        where abs(length(identifier_value) - length($1)) <= $2 and slips <= $2
            and {"true" if type is None else f"identifier_type = {literal(type)}"}
        order by slips, identifier_value
        limit {_SUGGESTIONS}
        """,
        [text, slips],
    ).fetchall()
    return [value for value, _ in rows]


def _paragraph(error: BaseException) -> str:
    """The engine's words without its drawing of where in the query."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())[:1000]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
