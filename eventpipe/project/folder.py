"""The project folder as one object: settings, definitions, where everything lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from eventpipe.automations.definitions import Automations, read_automations
from eventpipe.errors import ConfigurationError, Problem, UsageError
from eventpipe.project.audit_rules import AuditRules, load_rules
from eventpipe.project.corrections import Corrections, read_corrections
from eventpipe.project.definitions import Registry
from eventpipe.project.document import Document
from eventpipe.project.environment import PROJECT, Environment
from eventpipe.project.identifiers import declared_names
from eventpipe.project.refusal import Finding
from eventpipe.project.rfm import RfmSettings
from eventpipe.project.serving import is_address
from eventpipe.project.settings import FILE, Paths, Settings, read_settings, with_environment
from eventpipe.project.sources import SourceProfile
from eventpipe.project.tracking_plan import read_registry
from eventpipe.project.validation import attempt, problems_of
from eventpipe.project.yaml import read_document
from eventpipe.segments.definitions import Segments, read_segments, segment_names
from eventpipe.segments.names import Names, published_catalogue

EVENTS: Final = "events"
SEGMENTS: Final = "segments"
AUTOMATIONS: Final = "automations"
STATE: Final = ".eventpipe"

_PATHS: Final = TypeAdapter(Paths)
_RFM: Final = TypeAdapter(RfmSettings)


@dataclass(frozen=True)
class Project:
    """A project that was read without a problem. All paths are absolute; nothing on them need exist yet. The ops store
    is a path, or an address as text.

    `state` is for what the tools keep and nobody misses: the dbt target, Dagster's home, temporary files. `unread` are
    sentences on variables of the environment that look like eventpipe's and are none.
    """

    root: Path
    settings: Settings
    registry: Registry
    segments: Segments
    automations: Automations
    audit: AuditRules
    profiles: Mapping[str, SourceProfile]
    corrections: Corrections
    exports: Path
    lake: Path
    warehouse: Path
    analytics: Path
    ops: Path | str
    state: Path
    unread: tuple[str, ...] = ()


def load_project(root: Path | None, environ: Mapping[str, str]) -> Project:
    """The project in `root`, else in EVENTPIPE_PROJECT, else in the current folder.

    Raises UsageError where there is no project, ConfigurationError with every problem of all of its files.
    """
    root, environ = _existing(root, environ), Environment(environ)
    document, problems = read_document(root / FILE, FILE, environ)
    document = with_environment(document, environ)
    settings, wrong = read_settings(document)
    problems += wrong + problems_of(document, path_findings(root, document))
    documents, unreadable = _documents(root, EVENTS, environ)
    registry, undefined = read_registry(documents, declared_names(document))
    corrections, uncorrected = read_corrections(root, environ)
    problems += unreadable + undefined + uncorrected
    documents, unreadable = _documents(root, SEGMENTS, environ)
    automated, unautomated = _documents(root, AUTOMATIONS, environ)
    names = _names(root, document, settings, registry, bool(documents or automated))
    segments, wrong = read_segments(documents, names)
    automations, refused = read_automations(automated, names, segment_names(documents))
    problems += unautomated + refused
    rules, unruled = load_rules(root, environ, tuple(settings.sources) if settings is not None else None)
    problems += unreadable + wrong + unruled
    if problems or settings is None or registry is None or segments is None or automations is None:
        raise ConfigurationError(sorted(problems, key=_order))
    if corrections is None or rules is None:
        raise ConfigurationError(sorted(problems, key=_order))
    project = _project(root, settings, registry, segments, automations, rules, corrections)
    return replace(project, unread=environ.unread())


def path_findings(root: Path, document: Document) -> Iterator[Finding]:
    """Locations that are one place or inside each other: one stage would spoil what another wrote."""
    paths = attempt(_PATHS, document, ("paths",))
    if paths is None:
        return
    locations = {name: getattr(paths, name) for name in Paths.model_fields}
    places = {name: _absolute(root, each) for name, each in locations.items() if not is_address(each)}
    places["state"] = root / STATE
    for (name, place), (other, other_place) in combinations(places.items(), 2):
        if place == other_place or place in other_place.parents or other_place in place.parents:
            key, rest = (name, other) if _is_given(document, name) else (other, name)
            rest = f"the folder {STATE}" if rest == "state" else f"paths.{rest}"
            yield Finding(("paths", key), f"is, holds or lies inside {rest}: give it a place of its own")


def _is_given(document: Document, name: str) -> bool:
    return ("paths", name) in document.lines or ("paths", name) in document.overrides


def _order(problem: Problem) -> tuple[bool, str, int]:
    return (problem.file != FILE, problem.file, problem.line or 0)


def _names(
    root: Path, document: Document, settings: Settings | None, registry: Registry | None, are_used: bool
) -> Names:
    """What segments and automations may name. Where settings are wrong, those parts of them that are right count, and the defaults."""
    rfm = attempt(_RFM, document, ("rfm",)) or RfmSettings()
    known = settings or Settings()
    return Names(
        registry or Registry(),
        declared_names(document) or known.identity.names,
        rfm.segment_names,
        known.currency,
        known.timezone,
        seen=published_catalogue(_absolute(root, known.paths.analytics)) if are_used else {},
    )


def _project(
    root: Path,
    settings: Settings,
    registry: Registry,
    segments: Segments,
    automations: Automations,
    audit: AuditRules,
    corrections: Corrections,
) -> Project:
    paths = settings.paths
    return Project(
        root=root,
        settings=settings,
        registry=registry,
        segments=segments,
        automations=automations,
        audit=audit,
        profiles={name: source.resolved(name, settings) for name, source in settings.sources.items()},
        corrections=corrections,
        exports=_absolute(root, paths.exports),
        lake=_absolute(root, paths.lake),
        warehouse=_absolute(root, paths.warehouse),
        analytics=_absolute(root, paths.analytics),
        ops=paths.ops if is_address(paths.ops) else _absolute(root, paths.ops),
        state=root / STATE,
    )


def _existing(root: Path | None, environ: Mapping[str, str]) -> Path:
    named = environ.get(PROJECT)
    root = (root or (Path(named) if named else Path.cwd())).resolve()
    if not root.is_dir():
        raise UsageError(
            f"{root} is no folder. Name a project with --project or {PROJECT}, or create one: eventpipe init {root}"
        )
    if not (root / FILE).is_file():
        raise UsageError(f"{root} has no {FILE}, so it is no project. Create one there: eventpipe init {root}")
    return root


def _documents(root: Path, name: str, environ: Mapping[str, str]) -> tuple[tuple[Document, ...], list[Problem]]:
    """<name>/*.yml in the order of their names; what an editor hides (`.#orders.yml`) is not read."""
    documents: list[Document] = []
    problems: list[Problem] = []
    folder = root / name
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        file = f"{name}/{path.name}"
        if path.name.startswith("."):
            continue
        if path.suffix == ".yml":
            document, wrong = read_document(path, file, environ)
            documents.append(document)
            problems += wrong
        elif path.suffix == ".yaml":
            problems.append(Problem(file, None, "", "would not be read: definitions end in .yml, rename it"))
    return tuple(documents), problems


def _absolute(root: Path, location: str) -> Path:
    return (root / location).resolve()
