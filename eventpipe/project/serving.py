"""Where people read the published tables: beside the project, or in PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field

from eventpipe.project.document import Document
from eventpipe.project.quantities import Duration
from eventpipe.project.refusal import Finding, Refusal, hint
from eventpipe.project.validation import Section, at

_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
_NOT_ESCAPED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_TAKEN: Final = ("public", "information_schema", "eventpipe_ops")


def server_address(text: str) -> str:
    """An address of a PostgreSQL server and a database on it, else Refusal, which never shows it.

    A password that is not written as addresses have it would be taken for a host, and be shown in messages.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    before_options = text.partition("?")[0]
    is_whole = before_options.count("@") <= 1 and not parts.fragment and not _NOT_ESCAPED.search(text)
    if parts.scheme not in _SCHEMES or not is_whole:
        raise Refusal(
            "the address of a PostgreSQL database: write postgresql://user@host:port/name, and in a password @ as %40, "
            ": as %3A, / as %2F, ? as %3F, # as %23 and % as %25"
        )
    return text


def is_address(location: str) -> bool:
    """Whether a location is on a server, not a path."""
    return "://" in location


def _schema(text: str) -> str:
    if not _SCHEMA.fullmatch(text) or text in _TAKEN or text.startswith("pg_"):
        raise Refusal("a schema: take up to 48 of a-z, 0-9 and _, and none that belongs to others")
    return text


class ServingSettings(Section):
    """PostgreSQL as the place that people read, when there is a `url`.

    A publish waits at most `lock_timeout` for a lock that a reader holds, and no statement of it takes longer than
    `statement_timeout`. `mask`: identifier types whose values readers of the masked views do not see.
    """

    model_config = ConfigDict(**Section.model_config, populate_by_name=True)

    url: Annotated[str, AfterValidator(server_address)] | None = Field(default=None, repr=False)
    namespace: Annotated[str, AfterValidator(_schema)] = Field(default="eventpipe", alias="schema")
    mask: tuple[str, ...] = ()
    lock_timeout: Duration = timedelta(seconds=10)
    statement_timeout: Duration = timedelta(hours=1)


def serving_findings(document: Document, types: Collection[str]) -> Iterator[Finding]:
    """A password that stands in the file, and masks of what is no identifier."""
    for path in (("serving", "url"), ("paths", "ops")):
        written = at(document.data, path)
        if isinstance(written, str) and is_address(written) and not document.hides(path) and _has_password(written):
            yield Finding(path, "holds a password: keep it in the environment and write ${env:NAME}")
    masked = at(document.data, ("serving", "mask"))
    for place, name in enumerate(masked if isinstance(masked, list) else ()):
        if name not in types:
            yield Finding(("serving", "mask", place), f"is no identifier type{hint(name, types)}")


def _has_password(address: str) -> bool:
    try:
        return urlsplit(address).password is not None
    except ValueError:
        return False
