"""Whether there is an ops store yet: looking makes nothing."""

from __future__ import annotations

from pathlib import Path


def is_made(place: Path | str) -> bool:
    """Whether a run has made the store. Of a server this asks the server. Raises OpsStoreError where it cannot."""
    if isinstance(place, Path):
        return place.exists()
    from eventpipe.ops.store import OpsStore  # late: of a file nobody needs it

    return OpsStore.is_made(place)
