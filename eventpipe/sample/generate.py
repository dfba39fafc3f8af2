"""The engine of `eventpipe sample`: tells the story of a shop day by day and writes what
its tools exported.
"""

from __future__ import annotations

from random import Random

from eventpipe.errors import UsageError
from eventpipe.sample import vendors
from eventpipe.sample.expectations import Expectations
from eventpipe.sample.files import DayFiles
from eventpipe.sample.request import SampleRequest, SampleSummary
from eventpipe.sample.story import Story
from eventpipe.sample.telling import Landing, Window

_WEEK = (100, 95, 95, 100, 115, 130, 125)
"""How busy the shop is from Monday to Sunday."""


def generate(request: SampleRequest) -> SampleSummary:
    """Writes exactly `request.events` records, and some blank lines, under `request.out`; returns what is in
    them.

    Files of the same name are replaced, other files in the folder are left alone: the summary speaks of this
    call's files only. Memory holds one day's files, what is still to land, and one entry per shopper, order
    and identifier set.
    """
    if request.out.exists() and not request.out.is_dir():
        raise UsageError(f"sample: --out {request.out} is not a folder: name one, or a path that does not exist yet")
    sources = request.chosen
    window = Window(request.start, request.days)
    story = Story(Random(request.seed), sources, window)
    expectations = Expectations(sources, window.opens_at)
    pending: list[list[Landing]] = [[] for _ in range(request.days)]
    lines_written = dict.fromkeys(sources, 0)
    planned = 0
    for day, target in enumerate(_targets(window, request.events)):
        while planned < target:
            landings = story.visit(day)[: request.events - planned]
            planned += len(landings)
            for landing in landings:
                pending[landing.day].append(landing)
        landed, pending[day] = sorted(pending[day], key=_arrival), []
        folders = {source: request.out / source / window.date_of(day).isoformat() for source in sources}
        files = {source: DayFiles(folder, day, lines_written[source]) for source, folder in folders.items()}
        for landing in landed:
            expectations.expect(landing)
            _put(files[landing.report.source], landing)
        for source in sources:
            lines_written[source] += files[source].write()
            expectations.expect_files(source, files[source].count, files[source].blank)
    return expectations.summary()


def _targets(window: Window, events: int) -> list[int]:
    """How many records the visits up to each day's end account for, those that land later included."""
    weights = [_WEEK[window.date_of(day).weekday()] for day in range(window.days)]
    total, so_far, targets = sum(weights), 0, []
    for weight in weights:
        so_far += weight
        targets.append(events * so_far // total)
    return targets


def _arrival(landing: Landing) -> tuple[int, int]:
    return landing.second, landing.number


def _put(files: DayFiles, landing: Landing) -> None:
    report, mistake = landing.report, landing.mistake
    made = vendors.body(report, mistake)
    export = vendors.export_file(report, landing.day)
    if export is not None:
        files.add_row(export, made)
        return
    line = vendors.line(report, made, mistake)
    batch = vendors.batch_file(report, mistake)
    if batch is None or not files.add_element(*batch, line):
        files.add_line(vendors.line_file(report.source), line)
