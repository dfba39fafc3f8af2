"""What each segment means, as a hash: a segment whose meaning is another one is judged for everyone."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from sqlglot import exp

from eventpipe.segments.compile import Compiler
from eventpipe.segments.definitions import Segments, references
from eventpipe.segments.expressions import equals, sql
from eventpipe.segments.query import Standpoint

# Raise it when what is kept between runs to judge by is another than before: every segment is judged for everyone once.
_KEPT: Final = "2"
_FIXED: Final = datetime(2000, 1, 1, tzinfo=UTC)


def versions(segments: Segments) -> dict[str, str]:
    """By name: of the query that a segment becomes, with those of the segments that it names."""
    compiler = Compiler(Standpoint(segments.names, _FIXED), _of_that_name)
    found: dict[str, str] = {}
    for segment in segments.definitions:
        text = (
            _KEPT
            + sql(compiler.query(segment.where).members())
            + "".join(found[name] for name in sorted(references(segment)))
        )
        found[segment.name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return found


def _of_that_name(segment: str) -> exp.Select:
    return exp.select("contact_id").from_("segment_members").where(equals("segment", segment))
