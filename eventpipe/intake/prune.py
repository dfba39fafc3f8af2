"""Pruning: landed exports whose files were deleted, taken out of the lake too.

A file that is gone says nothing by itself: it may have been archived, and its folder may not be mounted. So what landed
stays until somebody asks for this, and sees first what would go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eventpipe.errors import UsageError
from eventpipe.intake.exports import ALL_DATES, Selection, find
from eventpipe.intake.lake import Lake, Manifest
from eventpipe.project.folder import Project


@dataclass(frozen=True)
class Gone:
    """Landed exports whose files are gone, in order of source, date and file; `landed` is how many of each source the lake
    holds, whether or not their files are there."""

    manifests: tuple[Manifest, ...]
    landed: dict[str, int]


def gone(project: Project, selection: Selection, source: str | None = None) -> Gone:
    """Those of the selected landing dates, and of one source where it is named.

    Errors: `UsageError` where the folder of exports is missing or empty of what is looked for, and it is not one source that is
    asked for; or where the lake knows no such source.
    """
    if not project.exports.is_dir():
        raise UsageError(
            f"There is no folder {project.exports}, so nothing can be told of what was deleted from it. Mount it, or set"
            " EVENTPIPE_EXPORTS to where the exports are."
        )
    manifests = [each for each in Lake(project.lake).manifests() if source in (None, each.source)]
    landed: dict[str, int] = {}
    for each in manifests:
        landed[each.source] = landed.get(each.source, 0) + 1
    if source is not None and not landed:
        raise UsageError(f"Nothing of a source {source!r} has landed: `eventpipe status` names the sources.")
    there = {export.key for export in find(project.exports, frozenset(landed), ALL_DATES)}
    if source is None and (empty := sorted(landed.keys() - {key.source for key in there})):
        raise UsageError(
            f"Nothing of {', '.join(empty)} lies in {project.exports} any more: the folder may not be "
            "mounted. If the exports really were deleted, say so with --source, for one source at a time."
        )
    chosen = [each for each in manifests if selection.takes(each.landed_on) and each.key not in there]
    return Gone(tuple(chosen), landed)


def prune(project: Project, manifests: Iterable[Manifest]) -> int:
    """Takes them out of the lake, each by itself, but for those whose files are back or that landed anew since they were found.
    Gives how many it took out. The tables follow with the next run."""
    lake = Lake(project.lake)
    chosen = list(manifests)
    there = {export.key for export in find(project.exports, frozenset(each.source for each in chosen), ALL_DATES)}
    taken = [each for each in chosen if each.key not in there and lake.manifest(each.key) == each]
    for each in taken:
        lake.remove(each)
    return len(taken)
