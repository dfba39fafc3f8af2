"""What decides who belongs together: the declared types, what never links, and what people corrected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eventpipe.identity.meant import Meant, meant
from eventpipe.project.folder import Project
from eventpipe.project.identifiers import IdentifierType


@dataclass(frozen=True)
class Rules:
    """`types` strongest first; `blocked` are the project's own values; `shared` are (type, value) that link nobody, however few
    they are seen with; the two sides of an `unlinked` pair must not be one contact's.
    """

    types: tuple[IdentifierType, ...]
    blocked: tuple[str, ...] = ()
    shared_above: int = 10
    shared: Meant = ()
    unlinked: tuple[tuple[Meant, Meant], ...] = ()

    def is_blocked(self, value: str) -> bool:
        """Whether the project blocks a value."""
        return value.lower() in {each.strip().lower() for each in self.blocked}

    def owner(self, identifiers: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
        """Whom a line with these identifiers, strongest first, is of, as far as it says so itself: the first that is known and that
        the project does not block; None without such a one."""
        known = {each.name for each in self.types if each.known}
        return next((each for each in identifiers if each[0] in known and not self.is_blocked(each[1])), None)

    @classmethod
    def of(cls, project: Project) -> Rules:
        """Those of a project: `identity` in eventpipe.yml, and identity.yml."""
        identity, corrections = project.settings.identity, project.corrections
        blocked = [*identity.blocked, *corrections.block]
        sides = meant(project, [side for pair in corrections.unlink for side in pair])
        return cls(
            types=identity.types,
            # As written and as an event would have it: a phone number is blocked however it is spelled.
            blocked=tuple(dict.fromkeys([*blocked, *(value for each in meant(project, blocked) for _, value in each)])),
            shared_above=identity.shared_above,
            shared=tuple(dict.fromkeys(pair for each in meant(project, corrections.shared) for pair in each)),
            unlinked=tuple(zip(sides[::2], sides[1::2], strict=True)),
        )
