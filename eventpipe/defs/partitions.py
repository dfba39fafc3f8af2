"""Partitions: the landing dates of exports.

Here: which dates there are, and which of them a run was started for. Not here: what lands on a date
(`eventpipe.intake`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import dagster as dg

from eventpipe.intake.exports import Selection
from eventpipe.project.folder import Project

PARTITION: Final = "dagster/partition"
RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
"""The tags by which Dagster tells a run its partition, or the first and the last of a range."""


def landing_dates(project: Project, now: datetime) -> dg.DailyPartitionsDefinition:
    """A partition per day, from the first landing date that has a folder (else today) to today, included.

    A fixed date long ago would do too, and draw a year of exports as a hair at the end of thirty-six empty ones.
    Exports of an older date that come later are landed like all others; their date shows after a reload.
    """
    today = now.astimezone(ZoneInfo(project.settings.timezone)).date()
    start = min(_present(project), default=today)
    return dg.DailyPartitionsDefinition(
        start_date=min(start, today).isoformat(), timezone=project.settings.timezone, end_offset=1
    )


def selected(tags: Mapping[str, str]) -> Selection:
    """The landing dates that a run with these tags is about; without any of them, all that there are."""
    first, last = tags.get(RANGE_START), tags.get(RANGE_END)
    if first is None or last is None:
        first = last = tags.get(PARTITION)
    return Selection(*(None if key is None else date.fromisoformat(key) for key in (first, last)))


def _present(project: Project) -> Iterator[date]:
    """The dates that have a folder, of exports or in the lake. Only names are read."""
    for folder in (place / source for place in (project.exports, project.lake) for source in project.profiles):
        for day in folder.iterdir() if folder.is_dir() else ():
            try:
                found = date.fromisoformat(day.name)
            except ValueError:
                continue
            if found >= project.settings.earliest:
                yield found
