"""What is asked of the sample engine, and what it promises about the files it wrote.

The summary is worked out from the story that was told, not from the files, and shares no code with the
pipeline: a run over the files can be held against it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from eventpipe.errors import UsageError

SOURCES = ("redo", "notifuse", "customerio", "arsel")
DEFAULT_START = date(2026, 1, 1)
DEFAULT_DAYS = 30


@dataclass(frozen=True)
class SampleRequest:
    """Equal requests write equal bytes (`out` aside): nothing else, no clock and no environment, has a say.

    `events`: records in total over all sources, blank lines not counted. `out`: the folder that receives
    `<source>/<YYYY-MM-DD>/<file>`. `start`, `days`: the first landing date and how many there are, in UTC.
    Raises UsageError where a value cannot be used.
    """

    events: int
    seed: int
    out: Path
    sources: tuple[str, ...] = SOURCES
    start: date = DEFAULT_START
    days: int = DEFAULT_DAYS

    def __post_init__(self) -> None:
        if self.events < 1:
            raise UsageError(f"sample: --events is {self.events}: give 1 or more")
        if self.days < 1:
            raise UsageError(f"sample: days is {self.days}: give 1 or more")
        if not self.sources:
            raise UsageError(f"sample: no source is named: choose from {', '.join(SOURCES)}")
        for source in self.sources:
            if source not in SOURCES:
                raise UsageError(f"sample: unknown source {source!r}: choose from {', '.join(SOURCES)}")
        if not date(1990, 1, 1) <= self.start <= date(2100, 1, 1) - timedelta(days=self.days):
            raise UsageError(f"sample: {self.days} days from {self.start} are not all between 1990 and 2100")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The sources in the engine's own order, each once: the order they were named in changes nothing."""
        return tuple(source for source in SOURCES if source in self.sources)


@dataclass(frozen=True)
class SourceSummary:
    """What one source's files hold. Money is per ISO 4217 currency, with two decimals.

    `lines` = `expected_accepted` + `rejected_lines` + `blank`. A CSV header is no line;
    the elements of a batch body and the rows of a Parquet file are.
    """

    files: int
    lines: int
    expected_accepted: int
    rejected_lines: int
    blank: int
    expected_rejected: dict[str, int]
    """Reason code to lines that carry it, by the shipped definitions; a line with two reasons is in both."""
    bad_lines: dict[str, int]
    """Kind of mistake to lines that have it."""
    duplicates: int
    """Accepted lines that repeat an earlier line word for word, with its unique id."""
    updates: int
    """Notifuse: accepted newer versions of an event that was sent before."""
    stale: int
    """Notifuse: accepted older versions that must change nothing."""
    deletions: int
    restorations: int
    late: int
    """Accepted lines that landed on a later date than they occurred."""
    contacts: int
    """Contacts of the whole sample that have an event from this source."""
    orders: int
    """Distinct live orders with a positive value, as this source alone tells it."""
    gross: dict[str, Decimal]
    refunds: dict[str, Decimal]
    """Sum of the refunds: zero or below."""
    anonymous_became_known: int
    """Anonymous ids with an event that carried nothing else, whose contact has a known identifier."""


@dataclass(frozen=True)
class SampleSummary:
    """What all files hold together, and per source. Orders reported by several sources count once."""

    events: int
    files: int
    lines: int
    expected_accepted: int
    rejected_lines: int
    blank: int
    expected_rejected: dict[str, int]
    bad_lines: dict[str, int]
    duplicates: int
    late: int
    contacts: int
    known_contacts: int
    identity_conflicts: int
    """Distinct ties that the limits of identifiers refuse."""
    orders: int
    orders_reported_twice: int
    """Orders that more than one source reports."""
    gross: dict[str, Decimal]
    refunds: dict[str, Decimal]
    anonymous_became_known: int
    sources: dict[str, SourceSummary] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dicts, numbers and text, for `--json`; money as text."""
        plain: dict[str, Any] = asdict(self)
        for part in (plain, *plain["sources"].values()):
            for money in ("gross", "refunds"):
                part[money] = {currency: str(amount) for currency, amount in part[money].items()}
        return plain
