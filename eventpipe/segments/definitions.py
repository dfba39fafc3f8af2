"""segments/*.yml read into the project's segments, in an order in which each comes after those that it refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Final

from pydantic import TypeAdapter

from eventpipe.errors import Problem
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.refusal import Finding
from eventpipe.project.validation import at, attempt, problems_of, validate
from eventpipe.segments.findings import MAX_DEPTH, Scope, condition_findings
from eventpipe.segments.grammar import Condition, Node, Segment, SegmentCondition, SegmentFile, leaves
from eventpipe.segments.names import Names

MAX_SEGMENTS: Final = 1_000

_SEGMENT: Final = TypeAdapter(Segment)
_CONDITION: Final[TypeAdapter[Node]] = TypeAdapter(Condition)
_NAME: Final = TypeAdapter(str)


@dataclass(frozen=True)
class Segments:
    """All segments of a project, each after those that its conditions name, and the names they use."""

    definitions: tuple[Segment, ...]
    names: Names

    @cached_property
    def by_name(self) -> Mapping[str, Segment]:
        """The definitions by name."""
        return {segment.name: segment for segment in self.definitions}


def references(segment: Segment) -> set[str]:
    """The segments that a segment's conditions name."""
    return {leaf.segment for leaf in leaves(segment.where) if isinstance(leaf, SegmentCondition)}


def read_segments(documents: Iterable[Document], names: Names) -> tuple[Segments | None, list[Problem]]:
    """The segments of all files, or None and every problem of all of them."""
    documents = tuple(documents)
    places = {name: (document, path) for document, path, name in _named(documents)}
    scope = Scope(names, segment_names(documents))
    problems: list[Problem] = []
    found: dict[str, Segment] = {}
    for document in documents:
        _, wrong = validate(SegmentFile, document)
        problems += wrong
    for document, path, name in _named(documents):
        first = places[name]
        if first != (document, path):
            place = document.problem((*path, "name"), "")
            message = f"{name!r} is the name of another segment too ({place.file}:{place.line}): names are unique"
            problems += problems_of(first[0], [Finding((*first[1], "name"), message)])
        segment = attempt(_SEGMENT, document, path)
        if segment is not None:
            found[name] = segment
        for part, condition in _right_conditions(document, (*path, "where")):
            problems += problems_of(document, condition_findings(condition, part, scope))
    if len(found) > MAX_SEGMENTS:
        problems.append(Problem("segments", None, "", f"has more than {MAX_SEGMENTS} segments"))
    for circle in _circles({name: references(segment) for name, segment in found.items()}):
        document, path = places[circle[0]]
        message = f"is part of a circle of segments: {' -> '.join(circle)}. Take one of them out of another"
        problems += problems_of(document, [Finding((*path, "where"), message)])
    if problems:
        return None, problems
    order = TopologicalSorter({name: sorted(references(found[name])) for name in sorted(found)}).static_order()
    return Segments(tuple(found[name] for name in order), names), []


def _right_conditions(document: Document, path: KeyPath, depth: int = 1) -> Iterator[tuple[KeyPath, Node]]:
    """The condition at a place; of one that is wrong, those inside it that are right: what they say is checked all the same."""
    condition = attempt(_CONDITION, document, path)
    if condition is not None:
        yield path, condition
    elif depth < MAX_DEPTH:
        written = at(document.data, path)
        inside: list[KeyPath] = [("not",)] if isinstance(written, dict) and "not" in written else []
        for key in ("all", "any"):
            listed = at(written, (key,))
            inside += [(key, place) for place in range(len(listed) if isinstance(listed, list) else 0)]
        for part in inside:
            yield from _right_conditions(document, (*path, *part), depth + 1)


def _circles(named: Mapping[str, Collection[str]]) -> Iterator[list[str]]:
    """Circles of names that name each other, each from its first name back to it; none shares a name with another."""
    left = {name: sorted(named[name]) for name in sorted(named)}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = error.args[1][:0:-1]  # without the last, which is the first again; it tells who is named first
            first = circle.index(min(circle))
            yield [*circle[first:], *circle[:first], circle[first]]
            left = {name: others for name, others in left.items() if name not in circle}
        else:
            return


def segment_names(documents: Iterable[Document]) -> frozenset[str]:
    """The names of all segments of the files, right or wrong: what others may refer to."""
    return frozenset(name for _, _, name in _named(documents))


def named_entries(document: Document, key: str) -> Iterator[tuple[KeyPath, str]]:
    """Every entry of the list under `key` that has a name, right or wrong: its place and the name."""
    entries = at(document.data, (key,))
    for position in range(len(entries) if isinstance(entries, list) else 0):
        path: KeyPath = (key, position)
        name = attempt(_NAME, document, (*path, "name"))
        if name is not None:
            yield path, name


def _named(documents: Iterable[Document]) -> Iterator[tuple[Document, KeyPath, str]]:
    for document in documents:
        for path, name in named_entries(document, "segments"):
            yield document, path, name
