"""The same exports on many ways into the lake: in one go, in cuts and in any order, first in another version, as time
goes by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.reports import Report
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.pipeline.worlds import Exports, FileKey


@dataclass(frozen=True)
class Step:
    """What appears in the exports folder, or changes there, before a run; and the instant of that run."""

    files: Exports
    as_of: datetime


def detours(random: Random, exports: Exports, as_of: tuple[datetime, ...]) -> list[Step]:
    """One step for each instant; after the last one the folder holds `exports`.

    Files come in any order. Half of them have another content first: with reports that are gone later, without some
    that come later, with others that say something else.
    """
    last = len(as_of) - 1
    arrives = {key: random.randint(0, last) for key in exports}
    steps: list[dict[FileKey, tuple[Report, ...]]] = [{} for _ in as_of]
    for key, reports in exports.items():
        if arrives[key] > 0 and random.random() < 0.5:
            for step in range(random.randint(0, arrives[key] - 1), arrives[key]):
                if random.random() < 0.7:
                    steps[step][key] = worlds.edited(random, reports)
        steps[arrives[key]][key] = reports
    return [Step(files, at) for files, at in zip(steps, as_of, strict=True)]


def put(shop: Shop, files: Exports) -> None:
    """Write export files."""
    for key, reports in files.items():
        source, day, name = key
        shop.put(source, day.isoformat(), name, worlds.content(key, reports))


def folder_after(steps: list[Step]) -> Iterator[tuple[Step, Mapping[FileKey, tuple[Report, ...]]]]:
    """Each step with everything that lies in the exports folder after it."""
    folder: dict[FileKey, tuple[Report, ...]] = {}
    for step in steps:
        folder |= step.files
        yield step, dict(folder)
