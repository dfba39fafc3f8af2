"""What tests of several folders share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from eventpipe.failpoints import count_anew
from eventpipe_tests.postgres import Postgres, postgres

# As in `eventpipe.cli.main`: what is imported stays, and looking for garbage in it takes an eighth of the time of all tests.
gc.set_threshold(50_000)

# A busy machine is no failure: what things cost is the benchmarks' question.
settings.register_profile("eventpipe", deadline=None)
settings.load_profile("eventpipe")


@pytest.fixture(autouse=True)
def _fail_points_of_its_own() -> None:
    """Which points a test reaches is nothing to the next one in its process."""
    count_anew()


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server, started when the first test asks for it."""
    with postgres() as started:
        yield started


@pytest.fixture
def database(server: Postgres) -> Iterator[str]:
    """The address of an empty database."""
    with server.database() as url:
        yield url
