"""Secrets that webhooks are signed with (Standard Webhooks)."""

from __future__ import annotations

import base64
from typing import Final

from eventpipe.project.refusal import Refusal

_BYTES: Final = (24, 64)


def signing_secret(text: str) -> str:
    """The secret as it is written, else Refusal, which never shows it."""
    low, high = _BYTES
    try:
        length = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except ValueError:
        length = 0
    if not low <= length <= high:
        raise Refusal(f"a secret of Standard Webhooks: write whsec_ and {low} to {high} random bytes in base64")
    return text
