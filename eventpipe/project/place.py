"""Where a project may lie."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from urllib.parse import unquote

from eventpipe.errors import UsageError


def refuse_place(folder: Path) -> None:
    """Errors: `UsageError` where the path of a project's folder, or of its state, is one that Dagster would misread."""
    # Of a pattern it would find no settings, and report to its maker.
    if unquote(str(folder)) != str(folder) or escape(str(folder)) != str(folder):
        raise UsageError(
            f"{folder} cannot hold Dagster's record of runs: Dagster reads its place as an address and as a pattern, in which *, "
            "?, [ and % before two digits mean something else. Rename the folder; nothing was done."
        )
