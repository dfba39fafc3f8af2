"""What a run would land: settled exports that the lake does not hold as they are now.

The truth is in the two folders alone. Nothing is remembered between two looks but where the last one stopped, and
to lose that costs time only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from eventpipe.intake.exports import Export, Selection, find, settled
from eventpipe.intake.lake import Lake
from eventpipe.project.folder import Project

Place = tuple[str, date]
"""A source and a landing date: a folder of exports."""


@dataclass(frozen=True)
class Arrivals:
    """What one look found: how many exports are new, and how many would be but for being too fresh.

    `state` is a hash of the new ones as they lie there, empty without any; `resume` is where the next look goes on,
    None when this one reached the end.
    """

    new: int
    settling: int
    state: str
    resume: Place | None


def look(project: Project, now: datetime, *, start: Place | None = None, most: int = 20_000) -> Arrivals:
    """Looks at exports from the folder `start` on, until the folder in which it has seen `most` of them.

    An export takes about 0.2 ms.
    """
    lake = Lake(project.lake)
    digest = hashlib.sha256()
    new = settling = seen = 0
    last: Place | None = None
    for export in _from(project, start):
        place = (export.key.source, export.key.landed_on)
        if seen >= most and place != last:
            return Arrivals(new, settling, digest.hexdigest()[:16] if new else "", place)
        last = place
        seen += 1
        known = lake.manifest(export.key)
        if known is not None and known.state == export.state:
            continue
        if not settled(export, project.settings.settle, now):
            settling += 1
            continue
        new += 1
        digest.update(f"{export.key}\0{export.state}\0".encode())
    return Arrivals(new, settling, digest.hexdigest()[:16] if new else "", None)


def _from(project: Project, start: Place | None) -> Iterator[Export]:
    for source in sorted(project.profiles):
        if start is None or source > start[0]:
            yield from find(project.exports, frozenset({source}), Selection())
        elif source == start[0]:
            yield from find(project.exports, frozenset({source}), Selection(first=start[1]))
