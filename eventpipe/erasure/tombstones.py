"""Tombstones: what must not come back, as keyed hashes that say nothing of it to who has not the key."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 64  # of SHA-256
# A shorter id is also a quantity, a price, somebody else's order number.
_SHORTEST_WORD: Final = 8
_WORD: Final = re.compile(r"""[^\s"'<>,;:(){}\[\]|\\=&/?]+""")
_NUMBER: Final = re.compile(r"\+?\d[\d .()/-]{5,}\d")
_SPELLED: Final = (("\\u0040", "@"), ("%40", "@"), ("\\u002b", "+"), ("%2b", "+"), ("\\/", "/"))


def new_key() -> bytes:
    """A key that nobody has yet."""
    return secrets.token_bytes(_KEY_BYTES)


@dataclass(frozen=True)
class Tombstones:
    """The hashes of everybody who was erased, and the key that they were made with."""

    key: bytes
    digests: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.digests)

    def has_identifier(self, workspace: str, type: str, value: str) -> bool:
        """Whether an identifier, as intake normalises it, is an erased person's."""
        return self.of_identifier(workspace, type, value) in self.digests

    def has_event(self, workspace: str, event_id: str) -> bool:
        """Whether an event was an erased person's."""
        return self.of_event(workspace, event_id) in self.digests

    def names(self, workspace: str, text: str) -> bool:
        """Whether a text that nobody could read as an event names an erased person. Recognised are addresses, phone numbers with
        their country, and ids of at least eight characters."""
        return any(self._digest(workspace, "word", each) in self.digests for each in _words(text))

    def of_identifier(self, workspace: str, type: str, value: str) -> str:
        """The hash of an identifier."""
        return self._digest(workspace, "identifier", type, value)

    def of_event(self, workspace: str, event_id: str) -> str:
        """The hash of an event's id."""
        return self._digest(workspace, "event", event_id)

    def of_words(self, workspace: str, type: str, value: str) -> list[str]:
        """The hashes of an identifier as it may stand in a text."""
        word = _digits(value) if type == "phone" else value.casefold()
        return [self._digest(workspace, "word", word)] if type == "phone" or len(word) >= _SHORTEST_WORD else []

    def of_identifier_sql(self, workspace: str, type: str, value: str) -> str:
        """`of_identifier` as the engine computes it, of three SQL expressions: HMAC by its definition (RFC 2104)."""
        block = self.key.ljust(_BLOCK_BYTES, b"\0")
        inner, outer = (_blob(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
        text = f"concat_ws(chr(0), {workspace}, 'identifier', {type}, {value})"
        return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"

    def pseudonym(self, id: str) -> str:
        """What stands for an id where a fact about an erased person is kept."""
        return f"erased:{self._digest('pseudonym', id)[:32]}"

    def _digest(self, *parts: str) -> str:
        return hmac.digest(self.key, "\0".join(parts).encode(), sha256).hex()


NOBODY: Final = Tombstones(b"")
"""Where nobody was erased."""


def _blob(content: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02X}" for byte in content) + "'::blob"


def _words(text: str) -> Iterator[str]:
    folded = text.casefold()
    for spelled, meant in _SPELLED:
        folded = folded.replace(spelled, meant)
    for word in _WORD.findall(folded):
        if len(word) >= _SHORTEST_WORD:
            yield word
            yield word.strip(".")
    for number in _NUMBER.findall(folded):
        yield _digits(number)


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isdigit())
