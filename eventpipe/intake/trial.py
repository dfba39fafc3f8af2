"""A trial: what changed definitions would accept and reject of what landed lately, before they are in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from eventpipe.engine import in_memory
from eventpipe.intake.exports import Selection, find
from eventpipe.intake.judge import Judge
from eventpipe.intake.lake import Lake, parquet
from eventpipe.intake.refusal import ExportChanged, ExportRefused
from eventpipe.project.definitions import Registry
from eventpipe.project.folder import Project
from eventpipe.sql import literals


@dataclass
class EventTrial:
    """Lines of one event, as they were judged when they landed and as they would be judged."""

    accepted: int = 0
    rejected: int = 0
    would_accept: int = 0
    would_reject: int = 0
    newly_rejected: int = 0
    newly_accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why lines would be rejected."""


@dataclass(frozen=True)
class Trial:
    """Of the landing dates from `first` to `last`; `exports` were judged anew, `gone` are no longer there to be judged."""

    first: date | None
    last: date | None
    exports: int
    gone: int
    events: Mapping[str, EventTrial]


def attempt(
    project: Project,
    registry: Registry,
    names: frozenset[str],
    days: int,
    now: datetime,
    on_export: Callable[[], None] = lambda: None,
) -> Trial:
    """Judge the last `days` landing dates by `registry`, and tell of the events `names`. Nothing is changed."""
    lake = Lake(project.lake)
    manifests = {manifest.key: manifest for manifest in lake.manifests() if manifest.data is not None}
    last = max((key.landed_on for key in manifests), default=None)
    if last is None:
        return Trial(None, None, 0, 0, {})
    first = last - timedelta(days=days - 1)
    recent = {key: manifest for key, manifest in manifests.items() if key.landed_on >= first}
    found = {
        export.key: export for export in find(project.exports, frozenset(project.profiles), Selection(first, last))
    }
    events: dict[str, EventTrial] = {}
    judged = 0
    project.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=project.state, prefix="trial.") as folder:
        scratch = Lake(Path(folder))
        # With a state folder of its own: a run may be reading exports meanwhile, and have spilled into the project's.
        judge = Judge(
            replace(project, registry=registry, lake=scratch.root, state=scratch.root / "state"), scratch, now
        )
        for key in sorted(recent.keys() & found.keys()):
            scratch.folder(key).mkdir(parents=True, exist_ok=True)
            stored = lake.data_path(recent[key])
            try:
                _, rows = judge.judged(found[key])
            except (ExportRefused, ExportChanged):
                continue
            assert stored is not None
            _compare(project, stored, rows, names, events)
            rows.unlink()
            judged += 1
            on_export()
    return Trial(first, last, judged, len(recent) - judged, dict(sorted(events.items())))


def _compare(project: Project, stored: Path, rows: Path, names: frozenset[str], events: dict[str, EventTrial]) -> None:
    wanted = literals(sorted(names))
    with in_memory(project) as connection:
        found = connection.execute(f"""
            select coalesce(fresh.event_name, stored.event_name) as event_name,
                stored.status as was, fresh.status as becomes, fresh.reasons, count(*) as lines
            from {parquet([stored])} as stored
            full join {parquet([rows])} as fresh
                on stored.line = fresh.line and stored.index is not distinct from fresh.index
            where fresh.event_name in ({wanted}) or stored.event_name in ({wanted})
            group by all
        """).fetchall()
    for name, was, becomes, reasons, lines in found:
        event = events.setdefault(name, EventTrial())
        event.accepted += lines if was == "accepted" else 0
        event.rejected += lines if was == "rejected" else 0
        event.would_accept += lines if becomes == "accepted" else 0
        event.would_reject += lines if becomes == "rejected" else 0
        event.newly_rejected += lines if (was, becomes) == ("accepted", "rejected") else 0
        event.newly_accepted += lines if (was, becomes) == ("rejected", "accepted") else 0
        for reason in reasons or ():
            event.reasons[reason] += lines
