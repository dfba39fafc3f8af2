"""File targets: whole files of JSON lines in a folder, each put there by one rename.

A file that is there is complete. Killed between the rename and the record of it, the next process writes the same triggers
again, in another file, under the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from eventpipe.delivery.message import body
from eventpipe.files import write_whole
from eventpipe.ops.deliveries import Outgoing


def write(folder: Path, triggers: Sequence[Outgoing], now: datetime) -> Path:
    """Writes triggers, one line each, and gives the file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{triggers[0].trigger_id}.jsonl"
    write_whole(path, "".join(f"{body(each)}\n" for each in triggers).encode())
    return path
