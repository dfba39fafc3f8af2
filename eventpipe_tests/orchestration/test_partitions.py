"""Landing dates as partitions, and what a Dagster run asks for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from eventpipe.definitions import build_defs
from eventpipe.defs.jobs import JOB
from eventpipe.defs.partitions import landing_dates, selected
from eventpipe.defs.resources import config_of, request_of, run_config
from eventpipe.errors import UsageError
from eventpipe.intake.exports import Selection
from eventpipe.refresh import RunRequest
from eventpipe_tests.builders import event, export, project

TODAY = datetime(2026, 3, 14, 10, 30, tzinfo=UTC)


def test_the_first_partition_is_the_first_landing_date(tmp_path: Path) -> None:
    made = project(tmp_path)
    for day in (date(2024, 2, 29), date(2024, 3, 1), date(1989, 12, 31)):
        export(made, [event()], day=day)
    (made.exports / "web" / "notes").mkdir()
    keys = landing_dates(made, TODAY).get_partition_keys(TODAY)
    assert (keys[0], keys[-1]) == ("2024-02-29", TODAY.date().isoformat())


def test_a_date_that_is_only_in_the_lake_is_a_partition(tmp_path: Path) -> None:
    made = project(tmp_path)
    (made.lake / "web" / "2025-12-31").mkdir(parents=True)
    assert landing_dates(made, TODAY).get_first_partition_key() == "2025-12-31"


@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_without_exports_there_is_today_where_the_project_is(tmp_path: Path, timezone: str) -> None:
    made = project(tmp_path, timezone=timezone)
    today = TODAY.astimezone(ZoneInfo(timezone)).date()
    assert landing_dates(made, TODAY).get_partition_keys(TODAY) == [today.isoformat()]


def test_dates_in_the_future_start_no_partitions(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, [event()], day=TODAY.date() + timedelta(days=400))
    assert landing_dates(made, TODAY).get_partition_keys(TODAY) == [TODAY.date().isoformat()]


@pytest.mark.parametrize(
    ("tags", "selection"),
    [
        ({}, Selection()),
        ({"dagster/partition": "2026-01-05"}, Selection(date(2026, 1, 5), date(2026, 1, 5))),
        (
            {
                "dagster/asset_partition_range_start": "2026-01-05",
                "dagster/asset_partition_range_end": "2026-01-09",
            },
            Selection(date(2026, 1, 5), date(2026, 1, 9)),
        ),
    ],
)
def test_the_partitions_of_a_run_are_its_landing_dates(tags: dict[str, str], selection: Selection) -> None:
    assert selected(tags) == selection


@pytest.mark.parametrize(
    "request_",
    [
        RunRequest("r1"),
        RunRequest("r1", kind="backfill", full_refresh=True, again=True, only_settled=True),
        RunRequest("r1", as_of=datetime(2026, 1, 31, 12, 30, 0, 5, tzinfo=UTC)),
        RunRequest("r1", selection=Selection(date(2026, 1, 5), None)),
        RunRequest("r1", selection=Selection(None, date(2026, 1, 5))),
    ],
)
@pytest.mark.usefixtures("parsed")
def test_a_request_survives_dagsters_configuration(tmp_path: Path, request_: RunRequest) -> None:
    job = build_defs(project(tmp_path)).resolve_job_def(JOB)
    config = dg.validate_run_config(job, run_config(**config_of(request_)))["resources"]["refresh"]["config"]
    assert request_of("r1", {}, config, "UTC") == request_


def test_dates_in_the_configuration_come_before_partitions() -> None:
    config = config_of(RunRequest("r1", selection=Selection(first=date(2026, 1, 1))))
    found = request_of("r1", {"dagster/partition": "2026-01-05"}, config, "UTC")
    assert found.selection == Selection(first=date(2026, 1, 1))


def test_an_instant_without_an_offset_is_the_projects() -> None:
    config = config_of(RunRequest("r1")) | {"as_of": "2026-01-31"}
    found = request_of("r1", {}, config, "America/New_York").as_of
    assert found == datetime(2026, 1, 31, 5, tzinfo=UTC)


def test_a_wrong_date_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="resource refresh"):
        request_of("r1", {}, config_of(RunRequest("r1")) | {"first": "yesterday"}, "UTC")
