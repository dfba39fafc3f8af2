"""How a wrong value is worded, the same in every file: what it is not, what was meant, what is accepted.

'frist_wins' is not accepted; did you mean 'first_wins'? Accepted: first_wins, latest_wins
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from eventpipe.project.document import Document, KeyPath

LONGEST_GUESS: Final = 100  # characters: difflib takes the square of the length


class Refusal(ValueError):
    """A value that a type of this package does not take. Validators raise it, without the value.

    `expected` completes "is not ..."; `accepted` is listed, and searched for the word that was meant; so is
    `known`, which is too long to list. `detail` may repeat parts of the value: it is left out for values from
    the environment.
    """

    def __init__(
        self, expected: str, *, accepted: Collection[str] = (), known: Collection[str] = (), detail: str = ""
    ) -> None:
        self.expected = expected
        self.accepted = accepted
        self.known = known
        self.detail = detail
        super().__init__(f"is not {expected}" + (f": {detail}" if detail else ""))


@dataclass(frozen=True)
class Finding:
    """Something wrong between values that are right alone. `path` is relative to the file."""

    path: KeyPath
    message: str


def refused(document: Document, path: KeyPath, value: object, refusal: Refusal) -> str:
    """The sentence about `value` at `path`."""
    sentence = f"{document.shown(path, value)} is not {refusal.expected}"
    if document.hides(path):
        return sentence + hint(None, refusal.accepted)
    if refusal.detail:
        sentence += f": {refusal.detail}"
    return sentence + hint(value, refusal.accepted, known=refusal.known)


def hint(value: object, accepted: Collection[str], *, known: Collection[str] = ()) -> str:
    """`; did you mean 'x'? Accepted: x, y`: the end of a sentence that refuses `value`, or a part of it."""
    question = ""
    if isinstance(value, str) and len(value) <= LONGEST_GUESS:
        spelled = {word.casefold(): word for word in (*known, *accepted)}
        close = get_close_matches(value.strip().casefold(), spelled, n=1)
        question = f"; did you mean {spelled[close[0]]!r}?" if close else ""
    if not accepted:
        return question
    return f"{question or '.'} Accepted: {', '.join(accepted)}"
