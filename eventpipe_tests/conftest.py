"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventpipe_tests.postgres import Postgres, postgres


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
