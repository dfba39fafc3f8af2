"""Intake alone: land every export of a project, and nothing after it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path


def run_intake(project_dir: Path) -> int:
    """Land all exports of the project into its lake; give the number of lines that were accepted."""
    # Imported here, so that the modules that only name this function stay quick to load.
    from eventpipe.erasure.tombstones import NOBODY
    from eventpipe.intake.exports import Selection
    from eventpipe.intake.land import land_exports
    from eventpipe.project.folder import load_project

    project = load_project(project_dir, os.environ)
    landed = land_exports(project, Selection(), datetime.now(UTC), tombstones=NOBODY)
    return sum(each.manifest.accepted for each in landed if each.manifest is not None)
