"""Tombstones: what must not come back, as keyed hashes that reveal nothing without the key."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Final

_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 64  # of SHA-256
SHORTEST_WORD: Final = 8
"""Characters of an id that is looked for in texts: a shorter one is also a quantity, a price, somebody else's order number."""

# Of an address what stands around the sign; how far it reaches to either side, punctuation does not say.
_ADDRESS: Final = re.compile(r"""([^\s"<>(),:;@\[\]\\]{1,64})@([\w.-]+)""")
_WORDS: Final = (re.compile(r"""[^\s"'<>,;:(){}\[\]|\\=&/?]+"""), re.compile(r"[\w-]+"), re.compile(r"[\w.:-]+"))
_NUMBER: Final = re.compile(r"\+?\d[\d .()/-]{5,}\d")
_ESCAPED: Final = re.compile(r"\\u([0-9a-f]{4})|\\(.)|%([0-9a-f]{2})")


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

    def names(self, text: str) -> bool:
        """Whether a text that nobody could read as an event names an erased person, of any workspace. Recognised are addresses, phone
        numbers with their country, and ids of at least eight characters."""
        return any(self._digest("word", each) in self.digests for each in _words(text))

    def of_identifier(self, workspace: str, type: str, value: str) -> str:
        """The hash of an identifier."""
        return self._digest(workspace, "identifier", type, value)

    def of_event(self, workspace: str, event_id: str) -> str:
        """The hash of an event's id, which is a hash itself: every event that lands is asked for, so a quick one under the key."""
        return md5(self._event_key + f"{workspace}\0{event_id}".encode(), usedforsecurity=False).hexdigest()

    def of_words(self, type: str, value: str) -> list[str]:
        """The hashes of an identifier as it may stand in a text."""
        word = _digits(value) if type == "phone" else value.casefold()
        return [self._digest("word", word)] if type == "phone" or len(word) >= SHORTEST_WORD else []

    def of_identifier_sql(self, workspace: str, type: str, value: str) -> str:
        """`of_identifier` as the engine computes it, of three SQL expressions: HMAC by its definition (RFC 2104)."""
        block = self.key.ljust(_BLOCK_BYTES, b"\0")
        inner, outer = (_blob(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
        text = f"concat_ws(chr(0), {workspace}, 'identifier', {type}, {value})"
        return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"

    def of_event_sql(self, workspace: str, event_id: str) -> str:
        """`of_event` as the engine computes it, of two SQL expressions."""
        return f"md5({_blob(self._event_key)} || encode(concat_ws(chr(0), {workspace}, {event_id})))"

    @property
    def _event_key(self) -> bytes:
        return hmac.digest(self.key, b"event", sha256)

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
    folded = _ESCAPED.sub(_meant, text.casefold())
    for pattern in _WORDS:
        yield from (word.strip(".") for word in pattern.findall(folded) if len(word) >= SHORTEST_WORD)
    for local, domain in _ADDRESS.findall(folded):
        starts = (place for place in range(len(local)) if not place or not local[place - 1].isalnum())
        yield from (f"{local[start:]}@{domain.strip('.-')}" for start in starts)
    for number in _NUMBER.findall(folded):
        yield _digits(number)


def _meant(escaped: re.Match[str]) -> str:
    """What an escape of JSON or of an address on the web stands for; of letters (a new line, a tabulator) a blank."""
    code, letter, octet = escaped.groups()
    if code or octet:
        return chr(int(code or octet, 16)).casefold()
    return " " if letter.isalnum() else str(letter)


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isdigit())
