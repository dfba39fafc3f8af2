"""Where the real data is, and the projects that the tests of this folder share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject, built_once

VARIABLE = "EVENTPIPE_REAL_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of third-party data: EVENTPIPE_REAL_DATA, else ../shared/data beside the repository."""
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder; name it with {VARIABLE}")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the test processes of this session have in common."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "real"


@pytest.fixture(scope="session")
def online_retail(real_data: Path, shared_folder: Path) -> Iterator[RealProject]:
    """All 305 exports of Online Retail, landed in one run."""

    def build(folder: Path) -> None:
        project = RealProject.make(folder, "online_retail")
        for file in sorted((real_data / "online_retail").glob("*.csv.gz")):
            project.put("shop", file.name[:10], file)
        project.run(expects=True)

    with built_once(shared_folder / "online_retail", build) as folder:
        yield RealProject(folder)


MANY_SHAPES = {
    "cdnow": ("1998-07-01", "cdnow_sample/CDNOW_sample.txt"),
    "rfm_orders": ("2007-01-01", "r_rfm_orders/rfm_data_orders.csv"),
    "till_usd": ("2015-02-07", "rfm_fixture/transactions.csv"),
    "till_jpy": ("2015-02-07", "rfm_fixture/transactions.csv"),
    "jaffle_orders": ("2018-04-10", "jaffle_shop/raw_orders.csv"),
    "jaffle_payments": ("2018-04-10", "jaffle_shop/raw_payments.csv"),
    "jaffle_customers": ("2018-04-10", "jaffle_shop/raw_customers.csv"),
    "people_by_number": ("2024-01-01", "splink_fake_1000/fake_1000.csv"),
    "people_by_email": ("2024-01-01", "splink_fake_1000/fake_1000.csv"),
    "ecom": ("2024-06-30", "clickstream/ecom.csv.gz"),
    "otto": ("2022-08-29", "clickstream/otto_sessions.jsonl.gz"),
    "mixpanel": ("2025-02-28", "vendor_samples/mixpanel_event.csv"),
    "amplitude": ("2025-03-02", "vendor_samples/amplitude_event_data.csv"),
    "months": ("2022-05-01", "activity_schema/datasets/time_spine/output__time_spine.csv"),
    "signed_up": ("2022-05-01", "activity_schema/activities/signed_up.csv"),
    "visited_page": ("2022-05-01", "activity_schema/activities/visited_page.csv"),
    "bought_something": ("2022-05-01", "activity_schema/activities/bought_something.csv"),
}
"""For each source of many_shapes.yml the day when its export lands, and the export.

Not every copy of the data has the activities.
"""


@pytest.fixture(scope="session")
def many_shapes(real_data: Path, shared_folder: Path) -> Iterator[RealProject]:
    """All of the smaller data sets, landed in one run of one project."""

    def build(folder: Path) -> None:
        project = RealProject.make(folder, "many_shapes")
        for source, (day, name) in MANY_SHAPES.items():
            if (real_data / name).exists() or "/activities/" not in name:
                project.put(source, day, real_data / name)
        project.run()

    with built_once(shared_folder / "many_shapes", build) as folder:
        yield RealProject(folder)
