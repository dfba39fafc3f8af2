"""Values that never link and never make a contact, as one SQL condition."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eventpipe.project.vocabulary import NOTHINGS
from eventpipe.sql import literal

# A JSON object or list is nobody's name either: it stands where a careless sender should have put one of its fields.
_PLACEHOLDERS = rf"{'|'.join(map(re.escape, NOTHINGS))}|anonymous|guest|-1|[0-]*|(?s:\{{.*\}}|\[.*\])"
_ROLE_ADDRESSES = r"(no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer[-_.]?daemon|postmaster|bounces?)([+].*)?@.*"
_BUILT_IN = f"(?i)({_PLACEHOLDERS}|{_ROLE_ADDRESSES})"


def blocked_sql(value: str, project: Iterable[str] = ()) -> str:
    """A condition that is true where the SQL text expression `value` holds a blocked value.

    Placeholders are compared without regard to case, the project's own values as normalised identifiers are.
    """
    built_in = f"regexp_full_match({value}, {literal(_BUILT_IN)})"
    # Both sides in lower case by the engine: languages differ about what that is.
    own = ", ".join(f"lower({literal(entry.strip())})" for entry in project)
    return f"({built_in} or lower({value}) in ({own}))" if own else built_in
