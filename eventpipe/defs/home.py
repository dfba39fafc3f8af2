"""Dagster's own state, in the project's state folder.

Here: `dagster.yaml` and opening the instance. Not here: definitions, and how its files are written (`storage`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from eventpipe.defs.storage import kept_open
from eventpipe.project.folder import Project
from eventpipe.project.place import refuse_place

SETTINGS: Final = """\
# Written by eventpipe, and again whenever it differs.
telemetry:
  enabled: false
nux:
  enabled: false  # asks people for an address to send news to

# What steps print is not kept: it could hold personal data. People see metadata instead.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager

# eventpipe's lease keeps two runs from writing at once, and is free again a minute after its run was killed. So there
# is no pool and no limit here that a killed run could go on holding; what is stuck all the same is marked failed.
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  max_runtime_seconds: 43200

# The sensor looks every 30 seconds, and mostly finds nothing.
retention:
  sensor: {purge_after_days: {skipped: 1, started: 30, success: 30, failure: 30}}
  schedule: {purge_after_days: {skipped: 30, started: 90, success: 90, failure: 90}}
"""


def dagster_home(project: Project) -> Path:
    """The folder that DAGSTER_HOME has to name for this project, made if need be, with its settings in it. Raises UsageError."""
    home = project.state / "dagster"
    refuse_place(project.state)
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists() or settings.read_text(encoding="utf-8") != SETTINGS:
        temporary = home / f"dagster.yaml.{os.getpid()}.tmp"
        temporary.write_text(SETTINGS, encoding="utf-8")
        temporary.replace(settings)
    return home


@contextmanager
def open_instance(project: Project) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance, for a run in this process."""
    home = str(dagster_home(project))
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(home, overrides=kept_open(home))) as instance:
        yield instance
