"""Partitions: the landing dates of exports.

Here: which dates there are, and which of them a run was started for. Not here: what lands on a date
(`eventpipe.intake`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import dagster as dg

from eventpipe.intake.exports import Selection
from eventpipe.project.folder import Project

PARTITION: Final = "dagster/partition"
RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
"""The tags by which Dagster tells a run its partition, or the ends of a range of partitions."""


def landing_dates(project: Project, today: date) -> dg.DailyPartitionsDefinition:
    """One partition per day from the first landing date that there is, else `today`, to the current day, included.

    A fixed day long ago would do, and would draw a year of exports as a hair at the end of thirty empty ones.
    """
    first = min(_present(project), default=today)
    start = max(min(first, today), project.settings.earliest)
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone=project.settings.timezone, end_offset=1)


def selected(tags: Mapping[str, str]) -> Selection:
    """The landing dates that a run with these tags is about; without any of them, all that there are."""
    first, last = tags.get(RANGE_START), tags.get(RANGE_END)
    if first is None or last is None:
        first = last = tags.get(PARTITION)
    return Selection(*(None if key is None else date.fromisoformat(key) for key in (first, last)))


def _present(project: Project) -> Iterator[date]:
    """The landing dates that have a folder, of exports or in the lake. Only names are read."""
    for folder in (project.exports, project.lake):
        for source in project.profiles:
            if (folder / source).is_dir():
                for day in (folder / source).iterdir():
                    try:
                        yield date.fromisoformat(day.name)
                    except ValueError:
                        continue
