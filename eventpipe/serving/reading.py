"""What reads the published tables, wherever they are served from.

Two stores have one face: the file beside the project, in the engine's SQL, and PostgreSQL, in its own. Queries that
eventpipe writes itself are in the SQL that both speak.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from eventpipe.errors import EventpipeError
from eventpipe.project.folder import Project

if TYPE_CHECKING:
    import polars as pl


class QueryFailed(EventpipeError):
    """A query that was well-formed stopped while it ran: a value it could not convert, memory, temporary
    space.
    """


@dataclass(frozen=True)
class Column:
    """A column of an answer; `type` in the engine's words (VARCHAR, BIGINT, DECIMAL(18,4), JSON, VARCHAR[], ...)."""

    name: str
    type: str


class Answer(Protocol):
    """The rows of a query, fetched as they are asked for. JSON is text."""

    columns: Sequence[Column]

    def fetch(self, rows: int) -> list[tuple[Any, ...]]:
        """The next rows, none at the end. Raises QueryFailed."""

    def batches(self, rows: int) -> tuple[Any, Iterator[Any]]:
        """The rows as Arrow record batches: the schema, and an iterator. Raises QueryFailed."""

    def frame(self) -> pl.DataFrame:
        """All rows. Raises QueryFailed."""


class Store(Protocol):
    """The published tables, read-only."""

    def ask(self, query: str) -> Answer:
        """The answer to one query; it ends with the next one. Raises UsageError when it is no query or names what does
        not exist, QueryFailed when it stops while it runs.
        """

    def snapshot(self) -> AbstractContextManager[object]:
        """The queries in the block see one run's tables."""

    def closest(self, text: str, slips: int, type: str | None, limit: int) -> list[str]:
        """Identifiers that at most so many slips of the keyboard turn into `text`, the likeliest first."""

    def close(self) -> None:
        """Ends the connection."""


def open_store(project: Project) -> Store:
    """Where people read: the server that the project names, else its published file.

    Raises UsageError when nothing is published yet, ServerUnreachable, EventpipeError.
    """
    if project.settings.serving.url is not None:
        from eventpipe.serving.postgres.reading import PublishedSchema  # late: who reads a file needs no driver

        return PublishedSchema(project)
    from eventpipe.serving.file import PublishedFile, open_published

    return PublishedFile(open_published(project))


def reading(project: Project) -> AbstractContextManager[Store]:
    """The same, closed at the end of the block."""
    return closing(open_store(project))
