"""Jobs: `refresh`, which is the whole pipeline, and `deliver`, which sends what it triggered.

Here: what is run together. Not here: when (`schedules`, `sensors`), and how the command line does it (`launch`).
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from eventpipe.defs.deliveries import DELIVERIES

JOB: Final = "refresh"
DELIVER: Final = "deliver"


def refresh_job() -> dg.UnresolvedAssetJobDefinition:
    """All assets and checks. Started without a partition it looks at every landing date."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all() - dg.AssetSelection.assets(DELIVERIES),
        description="Lands new and changed exports, updates every table for the contacts that they touch, audits and "
        "publishes: what `eventpipe run` does. Without a partition it looks at every landing date.",
    )


def deliver_job() -> dg.UnresolvedAssetJobDefinition:
    """The deliveries and their checks."""
    return dg.define_asset_job(
        DELIVER,
        selection=dg.AssetSelection.assets(DELIVERIES),
        description="Sends every trigger that is due to its target: what `eventpipe deliver` does.",
    )
