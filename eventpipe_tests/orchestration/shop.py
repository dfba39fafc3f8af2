"""A project that the pipeline has run on, and personal data to look for where none may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import uuid4

import dagster as dg

from eventpipe.audit.suites import library
from eventpipe.defs.home import dagster_home
from eventpipe.defs.launch import RefreshOutcome, run_refresh
from eventpipe.project.folder import Project
from eventpipe.refresh import RunRequest

FIRST = date(2026, 1, 5)
SECOND = date(2026, 1, 7)
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)

CANARIES = (
    "canary@person.example",
    "canary-customer-4711",
    "+15005550006",
    "canary-device-0815",
    "canary property value",
    "canary_property_name",
    "canary trait",
    "canary raw line",
)
"""Personal data in the shop's exports, as it is stored."""


FAILING = """\
  - name: events_have_two_identifiers
    of: event_sample
    expect: column_values_to_be_between
    column: identifiers
    min_value: 2
"""
"""A rule of expectations.yml that most events of the shop do not satisfy."""


@dataclass(frozen=True)
class Shop:
    """A project, what its one run gave, and the run's id."""

    project: Project
    outcome: RefreshOutcome
    run_id: str

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """What Dagster remembers of the project, as its UI opens it."""
        with dg.DagsterInstance.from_config(str(dagster_home(self.project))) as instance:
            yield instance


def refresh(shop: Project, **request: object) -> tuple[str, RefreshOutcome]:
    """Runs the job on the project at NOW. Its checks are made in this process, which imports their library once."""
    library()
    run_id = str(uuid4())
    return run_id, run_refresh(shop, RunRequest(run_id, **request), lambda: NOW)  # type: ignore[arg-type]  # passed on
