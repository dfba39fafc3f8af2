"""automations/*.yml read into the project's automations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pydantic import TypeAdapter

from eventpipe.automations.findings import automation_findings
from eventpipe.automations.grammar import Automation, AutomationFile
from eventpipe.errors import Problem
from eventpipe.project.document import Document
from eventpipe.project.refusal import Finding
from eventpipe.project.validation import attempt, problems_of, validate
from eventpipe.segments.definitions import named_entries
from eventpipe.segments.findings import Scope
from eventpipe.segments.names import Names

MAX_AUTOMATIONS: Final = 1_000

_AUTOMATION: Final = TypeAdapter(Automation)


@dataclass(frozen=True)
class Automations:
    """All automations of a project, sorted by name, and the names that they use."""

    definitions: tuple[Automation, ...]
    names: Names

    @cached_property
    def by_name(self) -> Mapping[str, Automation]:
        """The definitions by name."""
        return {automation.name: automation for automation in self.definitions}

    def goes_on(self, automation: Automation, awaited: str) -> bool:
        """Whether an automation waits for what it waited for when it was activated, by whichever of an event's names."""
        return self._meant(automation.awaits) == self._meant(awaited)

    def _meant(self, awaited: str) -> str:
        kind, _, name = awaited.partition(" ")
        return f"{kind} {self.names.event(name)}" if kind == "event" else awaited


def read_automations(
    documents: Iterable[Document], names: Names, segments: frozenset[str]
) -> tuple[Automations | None, list[Problem]]:
    """The automations of all files, or None and every problem of all of them. `segments`: the names of those there are."""
    documents = tuple(documents)
    scope = Scope(names, segments)
    problems: list[Problem] = []
    found: dict[str, Automation] = {}
    for document in documents:
        _, wrong = validate(AutomationFile, document)
        problems += wrong
        for path, name in named_entries(document, "automations"):
            automation = attempt(_AUTOMATION, document, path)
            if name in found:
                message = f"{name!r} is the name of another automation too: names are unique"
                problems += problems_of(document, [Finding((*path, "name"), message)])
            if automation is not None:
                problems += problems_of(document, automation_findings(automation, path, scope))
                found[name] = automation
    if len(found) > MAX_AUTOMATIONS:
        problems.append(Problem("automations", None, "", f"has more than {MAX_AUTOMATIONS} automations"))
    if problems:
        return None, problems
    return Automations(tuple(found[name] for name in sorted(found)), names), []
