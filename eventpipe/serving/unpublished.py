"""What the lake holds and readers do not see yet."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from eventpipe.errors import EventpipeError
from eventpipe.intake.lake import Lake, Manifest
from eventpipe.project.folder import Project
from eventpipe.serving.file import open_published
from eventpipe.wording import several


def unpublished(published: duckdb.DuckDBPyConnection, manifests: Iterable[Manifest]) -> int:
    """How many exports the lake and the published ledger tell differently."""
    ledger = set(published.execute("select source, landed_on, file, sha256, status, loaded_at from ledger").fetchall())
    lake = {(each.source, each.landed_on, each.file, each.sha256, each.status, each.loaded_at) for each in manifests}
    return len({row[:3] for row in ledger ^ lake})


def refuse_unpublished(project: Project) -> None:
    """What is taken out is chosen by what is published, and the run after it lets nothing fire: so nothing else may be new in it.
    Raises EventpipeError, and UsageError where nothing was ever published."""
    with open_published(project) as published:
        behind = unpublished(published, Lake(project.lake).manifests())
    if behind:
        raise EventpipeError(
            f"The lake holds {several(behind, 'export')} that the published tables do not show as landed: a run was cut short, or held by "
            "its audit. Nothing was done. Start `eventpipe run` until it publishes, and this again."
        )
