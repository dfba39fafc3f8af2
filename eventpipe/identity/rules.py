"""What decides who belongs together: the declared types, what never links, and what people corrected (spec 2)."""

from __future__ import annotations

from dataclasses import dataclass

from eventpipe.project.folder import Project
from eventpipe.project.identifiers import IdentifierType

Meant = tuple[tuple[str, str], ...]
"""(type, value) of every identifier that something written may stand for."""


@dataclass(frozen=True)
class Rules:
    """`types` strongest first; `blocked` are the project's own values; the two sides of an `unlinked` pair must not be
    one contact's.
    """

    types: tuple[IdentifierType, ...]
    blocked: tuple[str, ...] = ()
    shared_above: int = 10
    unlinked: tuple[tuple[Meant, Meant], ...] = ()

    @classmethod
    def of(cls, project: Project) -> Rules:
        """Those of a project."""
        identity = project.settings.identity
        return cls(identity.types, identity.blocked, identity.shared_above)
