"""The same address and the same number, as people type them."""

from __future__ import annotations

import unicodedata


def spell_email(email: str, spelling: int) -> str:
    """The address with capitals (1), with blanks around it (2), with its accents apart (NFD, odd spellings),
    or as it is.
    """
    if not email.isascii():
        return unicodedata.normalize("NFD", email) if spelling % 2 else email
    if spelling == 1:
        return email.title()
    return f" {email} " if spelling == 2 else email


def spell_phone(phone: str, spelling: int) -> str:
    """A number in E.164, American ones also with brackets and blanks (spelling 1)."""
    if spelling and phone.startswith("+1"):
        return f"+1 ({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    return phone
