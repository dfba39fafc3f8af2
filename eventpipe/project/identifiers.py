"""The section `identity` of eventpipe.yml: which identifiers there are and what never links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from eventpipe.project.document import Document, KeyPath
from eventpipe.project.refusal import Finding, Refusal
from eventpipe.project.validation import Section, at
from eventpipe.project.vocabulary import CANONICAL_COLUMNS, DEFAULT_IDENTIFIERS

SECTION: Final[KeyPath] = ("identity",)
MOST_TYPES: Final = 100
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _type_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Refusal("a name of lower-case letters, digits and _ that begins with a letter (63 at most)")
    return name


class IdentifierType(Section):
    """One type of identifier: does it say who a person is, and how many may one contact have."""

    name: Annotated[str, AfterValidator(_type_name)]
    known: bool = True
    limit: int = Field(ge=1, le=1_000_000)


DEFAULT_TYPES: Final = (
    IdentifierType(name="customer_id", limit=1),
    IdentifierType(name="email", limit=5),
    IdentifierType(name="phone", limit=5),
    IdentifierType(name="anonymous_id", known=False, limit=50),
)


def _not_empty(types: tuple[IdentifierType, ...]) -> tuple[IdentifierType, ...]:
    if not types:
        raise Refusal("complete: declare at least one type, or leave `types` out")
    if len(types) > MOST_TYPES:
        raise Refusal(f"a list of {MOST_TYPES} types or fewer")
    return types


class IdentitySettings(Section):
    """`types` strongest first. `blocked` values link nobody, nor do those that are seen with more than `shared_above`
    identifiers of one stronger type.
    """

    types: Annotated[tuple[IdentifierType, ...], AfterValidator(_not_empty)] = DEFAULT_TYPES
    blocked: tuple[str, ...] = ()
    shared_above: int = Field(default=10, ge=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The types' names, strongest first."""
        return tuple(kind.name for kind in self.types)


def declared_names(document: Document) -> tuple[str, ...] | None:
    """The identifier types that `document` declares, right or wrong; None if it is unreadable."""
    if document.data is None:
        return None
    types = at(document.data, (*SECTION, "types"))
    if not isinstance(types, list):
        return DEFAULT_IDENTIFIERS
    names = (entry.get("name") for entry in types if isinstance(entry, dict))
    return tuple(name for name in names if isinstance(name, str))


def identity_findings(document: Document) -> Iterator[Finding]:
    """Names of types that two share or that a column of the event tables has already."""
    types = at(document.data, (*SECTION, "types"))
    first: dict[str, int] = {}
    for position, entry in enumerate(types if isinstance(types, list) else ()):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        where = (*SECTION, "types", position, "name")
        if name in first:
            place = f"identity.types.{first[name]}"
            yield Finding(where, f"{document.shown(where, name)} is declared twice (first at {place}): keep one")
        elif name in CANONICAL_COLUMNS and name not in DEFAULT_IDENTIFIERS:
            taken = ", ".join(column for column in CANONICAL_COLUMNS if column not in DEFAULT_IDENTIFIERS)
            yield Finding(where, f"{document.shown(where, name)} is a column of every event: take none of {taken}")
        first.setdefault(name, position)
