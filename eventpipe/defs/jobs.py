"""Jobs: `refresh`, which is the whole pipeline.

Here: what is run together. Not here: when (`schedules`, `sensors`), and how the command line does it (`launch`).
"""

from __future__ import annotations

from typing import Final

import dagster as dg

JOB: Final = "refresh"


def refresh_job() -> dg.UnresolvedAssetJobDefinition:
    """All assets and checks. Started without a partition it looks at every landing date."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        description="Lands new and changed exports, updates every table for the contacts that they touch, audits and "
        "publishes: what `eventpipe run` does. Without a partition it looks at every landing date.",
    )
