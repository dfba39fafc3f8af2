"""The sample's own account of what it wrote, held against what intake makes of the files (spec 1, sections 2 and 4)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from eventpipe.intake.lake import Lake
from eventpipe.project.folder import Project, load_project
from eventpipe.project.starter import SOURCES, create_project
from eventpipe.sample.generate import generate
from eventpipe.sample.request import SampleRequest, SampleSummary
from eventpipe_tests.builders import lake_rows, land


class Landed(NamedTuple):
    project: Project
    promised: SampleSummary
    rows: pl.DataFrame


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """2000 events of a week, landed into the starter project."""
    root = tmp_path_factory.mktemp("sample") / "shop"
    create_project(root)
    made = load_project(root, {})
    promised = generate(SampleRequest(events=2000, seed=11, out=made.exports, days=7))
    land(made)
    return Landed(made, promised, lake_rows(made))


@pytest.mark.parametrize("source", SOURCES)
def test_lines_accepted_rejected_and_blank_are_those_that_were_written(source: str, sample: Landed) -> None:
    promised = sample.promised.sources[source]
    found = [each for each in Lake(sample.project.lake).manifests() if each.source == source]
    assert len(found) == promised.files
    assert {each.status for each in found} == {"loaded"}
    assert sum(each.lines for each in found) == promised.lines
    assert sum(each.accepted for each in found) == promised.expected_accepted
    assert sum(each.rejected for each in found) == promised.rejected_lines
    assert sum(each.blank for each in found) == promised.blank


@pytest.mark.parametrize("source", SOURCES)
def test_lines_are_rejected_for_the_reasons_that_were_built_in(source: str, sample: Landed) -> None:
    rejected = sample.rows.filter(source=source, status="rejected")["reasons"].to_list()
    found = Counter(reason for reasons in rejected for reason in reasons)
    assert dict(found) == sample.promised.sources[source].expected_rejected


def test_late_events_are_those_that_were_told_late(sample: Landed) -> None:
    late = sample.rows.filter(pl.col("status") == "accepted", pl.col("occurred_at").dt.date() < pl.col("landed_on"))
    assert late.height == sample.promised.late


@pytest.mark.parametrize("source", SOURCES)
def test_word_for_word_repeats_carry_the_id_of_an_earlier_line(source: str, sample: Landed) -> None:
    keyed = sample.rows.filter(source=source, status="accepted").filter(pl.col("dedupe_key").is_not_null())
    promised = sample.promised.sources[source]
    versions = promised.updates + promised.stale + promised.deletions + promised.restorations
    assert keyed.height - keyed["event_id"].n_unique() == promised.duplicates + versions


def test_every_defined_event_of_the_sample_is_recognised(sample: Landed) -> None:
    events = sample.rows.filter(pl.col("status") == "accepted", pl.col("kind") == "track")
    assert events["definition_version"].null_count() == 0
    assert set(events["event_name"]) <= set(sample.project.registry.by_name)

