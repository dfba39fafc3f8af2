"""Variables of the environment: those that are read, and those that only look as if they were.

Settings have theirs in `eventpipe.project.settings`, and the project's files name more (`${env:NAME}`). What begins like
eventpipe's own and is read by nothing is most often a slip: `EVENTPIPE_SERVING_ULR` would serve from the file in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from eventpipe.failpoints import VARIABLE as FAIL_AT
from eventpipe.project.refusal import LONGEST_GUESS

PROJECT: Final = "EVENTPIPE_PROJECT"
ADMIN_URL: Final = "EVENTPIPE_ADMIN_URL"
WRITER_PASSWORD: Final = "EVENTPIPE_WRITER_PASSWORD"
READER_PASSWORD: Final = "EVENTPIPE_READER_PASSWORD"
WAREHOUSE_FILE: Final = "EVENTPIPE_WAREHOUSE_FILE"
"""Tells dbt where the working database is: set by a run, for itself."""

_OURS: Final = "EVENTPIPE_"
_TESTS: Final = "EVENTPIPE_TEST_"
_READ_ELSEWHERE: Final = (PROJECT, ADMIN_URL, WRITER_PASSWORD, READER_PASSWORD, WAREHOUSE_FILE, FAIL_AT)


class Environment(Mapping[str, str]):
    """The variables, which remember whether anybody asked for them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._asked = dict.fromkeys(_READ_ELSEWHERE)

    def __getitem__(self, name: str) -> str:
        self._asked[name] = None
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def unread(self) -> tuple[str, ...]:
        """A sentence on each variable that has a value, begins like eventpipe's own, and was not asked for; values are
        never shown."""
        known = [name.removeprefix(_OURS) for name in self._asked if name.startswith(_OURS)]
        return tuple(
            f"The environment variable {name} is read by nothing{_meant(name.removeprefix(_OURS), known)}"
            for name in sorted(self._variables)
            if name.startswith(_OURS) and not name.startswith(_TESTS)
            if name not in self._asked and self._variables[name]
        )


def _meant(name: str, known: list[str]) -> str:
    """The prefix is left out of it: shared by all, it would make all of them close."""
    close = get_close_matches(name[:LONGEST_GUESS].upper(), known, n=1)
    return f"; did you mean {_OURS}{close[0]}?" if close else "."
