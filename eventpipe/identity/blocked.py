"""Values that never link and never make a contact (spec 2, "Identifiers"), as one SQL condition."""

from __future__ import annotations

from collections.abc import Iterable

from eventpipe.sql import literal, literals

_PLACEHOLDERS = r"null|none|undefined|anonymous|guest|\[object object\]|nan|-1|[0-]*"
_ROLE_ADDRESSES = r"(no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer[-_.]?daemon|postmaster|bounces?)([+].*)?@.*"
_BUILT_IN = f"(?i)({_PLACEHOLDERS}|{_ROLE_ADDRESSES})"


def blocked_sql(value: str, project: Iterable[str] = ()) -> str:
    """A condition that is true where the SQL text expression `value` holds a blocked value.

    Placeholders are compared without regard to case, the project's own values as normalised identifiers are.
    """
    built_in = f"regexp_full_match({value}, {literal(_BUILT_IN)})"
    own = literals(entry.strip().lower() for entry in project)
    return f"({built_in} or lower({value}) in ({own}))" if own else built_in
