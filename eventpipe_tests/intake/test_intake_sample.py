"""What the sample says of its files, held against what intake makes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from eventpipe.intake.lake import Lake
from eventpipe.project.folder import Project, load_project
from eventpipe.project.starter import SOURCES, create_project
from eventpipe.sample.generate import generate
from eventpipe.sample.request import SampleRequest, SourceSummary
from eventpipe_tests.builders import lake_rows, land


def promised(summary: SourceSummary) -> dict[str, Any]:
    versions = summary.updates + summary.stale + summary.deletions + summary.restorations
    return {
        "files": summary.files,
        "lines": summary.lines,
        "accepted": summary.expected_accepted,
        "rejected": summary.rejected_lines,
        "blank": summary.blank,
        "reasons": summary.expected_rejected,
        "repeats and versions": summary.duplicates + versions,
        "late": summary.late,
        "undefined": 0,
    }


def found(made: Project, rows: pl.DataFrame, source: str) -> dict[str, Any]:
    exports = [each for each in Lake(made.lake).manifests() if each.source == source]
    rejected = rows.filter(source=source, status="rejected")["reasons"].to_list()
    events = rows.filter(source=source, status="accepted")
    keyed = events.filter(pl.col("dedupe_key").is_not_null())
    return {
        "files": sum(each.status == "loaded" for each in exports),
        "lines": sum(each.lines for each in exports),
        "accepted": sum(each.accepted for each in exports),
        "rejected": sum(each.rejected for each in exports),
        "blank": sum(each.blank for each in exports),
        "reasons": dict(Counter(reason for reasons in rejected for reason in reasons)),
        "repeats and versions": keyed.height - keyed["event_id"].n_unique(),
        "late": events.filter(pl.col("occurred_at").dt.date() < pl.col("landed_on")).height,
        "undefined": events.filter(pl.col("kind") == "track")["definition_version"].null_count(),
    }


def test_every_source_of_the_sample_lands_as_it_was_written(tmp_path: Path) -> None:
    create_project(tmp_path / "shop")
    made = load_project(tmp_path / "shop", {})
    summary = generate(SampleRequest(events=800, seed=11, out=made.exports, days=2))
    land(made)
    rows = lake_rows(made)
    assert rows.height == summary.events
    assert {source: found(made, rows, source) for source in SOURCES} == {
        source: promised(summary.sources[source]) for source in SOURCES
    }
