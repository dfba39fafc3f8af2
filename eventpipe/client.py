"""The published tables from Python, read-only.

    from eventpipe.client import connect

    with connect("myshop") as shop:
        shop.timeline("ada@example.com")        # a polars frame; .to_pandas() for pandas users
        shop.sql("select count(*) from events")

What is opened is `analytics.duckdb` as the last good run left it, or the server that serves the project. Nothing can be
written, and no query reads or writes any file. A connection to a file goes on reading the tables it
was opened on when a run replaces them; connect again for the new ones. On a server each call sees the last good run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from eventpipe.errors import EventpipeError, UsageError
from eventpipe.identity.meant import meant
from eventpipe.project.folder import Project, load_project
from eventpipe.serving.reading import Store, open_store
from eventpipe.sql import literal

if TYPE_CHECKING:
    import polars as pl

CONTACT_ID = "contact_id"
_SUGGESTIONS = 3
_ALL = 1_000_000


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
        self._store = open_store(project)

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
        with self._store.snapshot():
            return self._frame(contact_sql(find_contact(self._store, self._project, identifier, type)))

    def timeline(self, identifier: str, type: str | None = None) -> pl.DataFrame:
        """The rows of `contact_timeline` for who is known by `identifier`, newest first. Raises as `contact`
        does.
        """
        with self._store.snapshot():
            return self._frame(timeline_sql(find_contact(self._store, self._project, identifier, type)))

    def segment(self, name: str) -> pl.DataFrame:
        """The members of a segment: the columns of `contacts`, and `entered_at`, by contact_id.

        Raises UsageError when no segment of the name is defined or was published.
        """
        published = self._frame(f"select segment from segment_history where segment = {literal(name)} limit 1")
        if name not in self._project.segments.by_name and published.is_empty():
            known = ", ".join(sorted(self._project.segments.by_name)) or "none"
            raise UsageError(f"There is no segment {name!r}. Defined are: {known}.")
        members = self._frame(
            "select contacts.*, members.entered_at"
            " from segment_members as members join contacts using (workspace_id, contact_id)"
            f" where members.segment = {literal(name)} order by contacts.contact_id"
        )
        return members.drop("run_id")

    def rfm(self) -> pl.DataFrame:
        """The rows of `contact_rfm`, by contact and currency."""
        return self._frame("select * from contact_rfm order by workspace_id, contact_id, currency").drop("run_id")

    def close(self) -> None:
        """Ends the connection."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self, query: str) -> pl.DataFrame:
        return self._store.ask(query).frame()


def find_contact(store: Store, project: Project, identifier: str, type: str | None = None) -> ContactKey:
    """The contact that is known by `identifier`: one of its identifiers, as intake would normalise it, or an
    id that it has or had.

    Raises UnknownContact when nobody or more than one contact is, UsageError for a type that is not declared.
    """
    names = (*project.settings.identity.names, CONTACT_ID)
    if type is not None and type not in names:
        raise UsageError(f"There is no identifier type {type!r} in this project: take one of {', '.join(names)}.")
    (meanings,) = meant(project, [identifier])
    candidates = [each for each in (*meanings, (CONTACT_ID, identifier.strip())) if type in (None, each[0])]
    wanted = (
        ", ".join(f"({literal(kind)}, {literal(value)})" for kind, value in candidates) or "(null::text, null::text)"
    )
    found = store.ask(
        f"""
        with wanted (type, value) as (values {wanted})
        select workspace_id, contact_id, type, value
        from contact_identifiers join wanted on identifier_type = type and identifier_value = value
        union
        select workspace_id, contact_id, type, value
        from contacts join wanted on type = {literal(CONTACT_ID)} and contact_id = value
        union
        select workspace_id, contact_id, type, value
        from contact_aliases join wanted on type = {literal(CONTACT_ID)} and alias_id = value
        order by 1, 2, 3, 4
        """
    ).fetch(_ALL)
    keys = [ContactKey(*row) for row in found]
    if not keys:
        raise UnknownContact(nobody(store, identifier, type, names))
    if len({(key.workspace_id, key.contact_id) for key in keys}) > 1:
        workspaces, types = ({getattr(key, name) for key in keys} for name in ("workspace_id", "type"))
        where = [f" in {key.workspace_id}" if len(workspaces) > 1 else "" for key in keys]
        listed = ", ".join(f"{key.contact_id} by {key.type}{place}" for key, place in zip(keys, where, strict=True))
        or_type = ", or the type with --type" if len(types) > 1 else ""
        raise UnknownContact(
            f"{identifier!r} is known of more than one contact: {listed}. Give the contact's id{or_type}."
        )
    return keys[0]


def contact_sql(key: ContactKey) -> str:
    """The query for a contact's row."""
    return f"select * from contacts where {_is(key)}"


def timeline_sql(key: ContactKey, limit: int | None = None) -> str:
    """The query for a contact's timeline, newest first."""
    return (
        f"select * from contact_timeline where {_is(key)}"
        " order by occurred_at desc, event_id, version_number desc, entry_type"
        + ("" if limit is None else f" limit {limit}")
    )


def identifiers_sql(key: ContactKey) -> str:
    """The query for what a contact is known by, the last seen first."""
    order = "last_seen_at desc, identifier_type, identifier_value"
    return f"select * from contact_identifiers where {_is(key)} order by {order}"


def contact_ids_sql(key: ContactKey) -> str:
    """The query for every id that a contact was ever published under."""
    return (
        f"select contact_id from contacts where {_is(key)}"
        f" union select alias_id as contact_id from contact_aliases where {_is(key)}"
    )


def events_sql(key: ContactKey) -> str:
    """The query for the ids of a contact's events."""
    return f"select event_id from events where {_is(key)}"


def _is(key: ContactKey) -> str:
    return f"workspace_id = {literal(key.workspace_id)} and contact_id = {literal(key.contact_id)}"


def nobody(store: Store, identifier: str, type: str | None, names: Sequence[str]) -> str:
    """That nobody is known by an identifier, and who may have been meant."""
    text = " ".join(identifier.split()).lower()[:100]
    close = store.closest(text, max(1, min(4, len(text) // 4)), type, _SUGGESTIONS)
    meant = (
        f" Did you mean {' or '.join(close)}?"
        if close
        else f" It was looked for as {', '.join([type] if type else names)}."
    )
    return f"No contact is known by {identifier!r} in the published tables.{meant}"
