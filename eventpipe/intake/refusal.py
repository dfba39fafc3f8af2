"""Why a whole export is refused (a bad file costs that file)."""

from __future__ import annotations

from typing import Final

from eventpipe.errors import EventpipeError

UNREADABLE: Final = "file.unreadable"
"""The system did not let us read it, which may be so for a while only."""


class ExportRefused(EventpipeError):
    """The export gives no rows. `reason` is one of:

    `file.symlink`, `file.unreadable`, `file.format` (unknown ending, a format that the source cannot be in, decimals wider
    than can be read), `file.encoding` (UTF-16, UTF-32), `file.corrupt` (compression or Parquet damaged, CRC),
    `file.truncated`, `file.bomb` (expands beyond the caps), `file.document` (a JSON document that does not parse, or too large
    to be one), `file.header` (a CSV header that names a column twice or lacks one).
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class ExportChanged(EventpipeError):
    """The file changed while it was read: it is left for the next run."""
