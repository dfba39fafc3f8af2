"""identity.yml: what people corrected about who is who. Applied to the past too.

    block:                                     # values that link nobody and make no contact, whatever their type
      - qa@myshop.com
    shared:                                    # values that link nobody, as those that many people were seen with
      - anonymous_id:kiosk-1                   # the type may stand before an identifier
    unlink:                                    # pairs that are never one contact
      - [jane@myshop.com, customer_id:c42]

The command line adds to the file as it is written: comments and layout stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import AfterValidator, TypeAdapter

from eventpipe.errors import ConfigurationError, Problem
from eventpipe.files import write_whole
from eventpipe.project.document import Document
from eventpipe.project.refusal import Finding, Refusal
from eventpipe.project.validation import Section, at, attempt, problems_of, validate
from eventpipe.project.yaml import parse_document, read_document

FILE: Final = "identity.yml"

_HEADER: Final = (
    "# Corrections of who is who; each run applies them to the past too. `eventpipe identity plan` shows what for.\n"
)


def _identifier(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise Refusal("an identifier: it is empty or has a NUL character")
    return text


def _pair(pair: tuple[str, ...]) -> tuple[str, ...]:
    if len(pair) != 2:
        raise Refusal("a pair: write [one identifier, the other]")
    return pair


Identifier = Annotated[str, AfterValidator(_identifier)]
Pair = Annotated[tuple[Identifier, ...], AfterValidator(_pair)]


class Corrections(Section):
    """The whole of identity.yml, as written."""

    block: tuple[Identifier, ...] = ()
    shared: tuple[Identifier, ...] = ()
    unlink: tuple[Pair, ...] = ()


_PAIR: Final = TypeAdapter(Pair)


def read_corrections(root: Path, environ: Mapping[str, str]) -> tuple[Corrections | None, list[Problem]]:
    """The corrections in `root`, none where there is no file; or None and every problem of it."""
    path = root / FILE
    if not path.exists():
        return Corrections(), []
    document, problems = read_document(path, FILE, environ)
    return _validated(document, problems)


def split_type(text: str, types: Iterable[str]) -> tuple[str | None, str]:
    """The type that stands before an identifier, None where none of `types` does, and the identifier."""
    before, colon, after = text.partition(":")
    return (before.strip(), after) if colon and before.strip() in types else (None, text)


def add_correction(root: Path, key: Literal["block", "shared", "unlink"], entry: str | tuple[str, str]) -> bool:
    """Adds an entry to the file, which is made if it is missing; False when it is in it already.

    Raises ConfigurationError when the file is wrong, before or after.
    """
    path = root / FILE
    text = path.read_text(encoding="utf-8") if path.exists() else _HEADER
    before = getattr(_parsed(text), key)
    if entry in before or (entry[::-1] in before and isinstance(entry, tuple)):  # a pair is one either way round
        return False
    after = _with_entry(text, key, json.dumps(entry, ensure_ascii=False))
    _parsed(after)
    write_whole(path, after.encode())
    return True


def remove_corrections(root: Path, is_gone: Callable[[list[str]], list[bool]]) -> int:
    """Takes entries out of the file: those of which an identifier, as written, `is_gone`. How many there were.

    Lines of other entries and comments stay as they are. Raises ConfigurationError when the file is wrong.
    """
    path = root / FILE
    if not path.exists():
        return 0
    text = path.read_text(encoding="utf-8")
    corrections = _parsed(text)
    single = {key: is_gone(list(getattr(corrections, key))) for key in ("block", "shared")}
    sides = is_gone([side for pair in corrections.unlink for side in pair])
    gone = {**single, "unlink": [any(sides[place : place + 2]) for place in range(0, len(sides), 2)]}
    for key, places in gone.items():
        for place in reversed([place for place, is_out in enumerate(places) if is_out]):
            text = _without_entry(text, key, place)
    count = sum(map(sum, gone.values()))
    if count:
        _parsed(text)
        write_whole(path, text.encode())
    return count


def _parsed(text: str) -> Corrections:
    corrections, problems = _validated(*parse_document(text.encode(), FILE, os.environ))
    if corrections is None:
        raise ConfigurationError(problems)
    return corrections


def _validated(document: Document, problems: list[Problem]) -> tuple[Corrections | None, list[Problem]]:
    corrections, wrong = validate(Corrections, document)
    problems = [*problems, *wrong, *problems_of(document, _findings(document))]
    return (None if problems else corrections), problems


def _findings(document: Document) -> Iterator[Finding]:
    entries = at(document.data, ("unlink",))
    for position in range(len(entries) if isinstance(entries, list) else 0):
        pair = attempt(_PAIR, document, ("unlink", position))
        if pair is not None and pair[0].strip().casefold() == pair[1].strip().casefold():
            yield Finding(("unlink", position), "is one identifier twice: nothing can be unlinked from itself")


def _with_entry(text: str, key: str, entry: str) -> str:
    """The file's text with `entry`, which is JSON and so YAML, at the end of the list `key`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next(((name, value) for name, value in pairs if name.value == key), None)
    if found is None and isinstance(root, yaml.MappingNode) and root.flow_style:
        closing = root.end_mark.index - 1
        return text[:closing].rstrip() + (", " if pairs else "") + f"{key}: [{entry}]" + text[closing:]
    if found is None:
        return "\n".join([*text.splitlines(), f"{key}:", f"  - {entry}", ""])
    name, listed = found
    if not isinstance(listed, yaml.SequenceNode):  # nothing, or null
        return f"{text[: name.end_mark.index]}: [{entry}]{text[listed.end_mark.index :]}"
    if listed.flow_style:
        closing = listed.end_mark.index - 1
        return text[:closing].rstrip() + (", " if listed.value else "") + entry + text[closing:]
    end = _end_of_line(text, listed.value[-1].end_mark.index)
    return f"{text[:end]}\n{' ' * listed.start_mark.column}- {entry}{text[end:] or chr(10)}"


def _without_entry(text: str, key: str, place: int) -> str:
    """The file's text without an entry of the list `key`; the list's name goes with its last one."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    name, listed = next((name, value) for name, value in root.value if name.value == key)
    if len(listed.value) == 1:
        first, last = name.start_mark.index, listed.value[0].end_mark.index
        if listed.flow_style:
            last = listed.end_mark.index
        return text[:first] + text[_end_of_line(text, last) + 1 :]
    entry = listed.value[place]
    if listed.flow_style:
        others = [each for each in listed.value if each is not entry]
        items = ", ".join(text[each.start_mark.index : each.end_mark.index] for each in others)
        return f"{text[: listed.start_mark.index]}[{items}]{text[listed.end_mark.index :]}"
    first = text.rfind("\n", 0, entry.start_mark.index) + 1
    return text[:first] + text[_end_of_line(text, entry.end_mark.index) + 1 :]


def _end_of_line(text: str, index: int) -> int:
    """Of the line that a value ends on; the mark of a block stands behind the line breaks after it."""
    index = len(text[:index].rstrip())
    found = text.find("\n", index)
    return len(text) if found < 0 else found
