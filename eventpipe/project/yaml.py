"""YAML files of a project as plain data that remembers its lines.

A file is read in one pass over the parser's events, not through PyYAML's constructors, because that pass can
refuse what a hostile or careless file does (tags, aliases, duplicate keys, deep nesting) at the line where it
does it, and because plain scalars are typed by the YAML 1.2 core rules: `NO` is Norway and not false, a date
stays text until a model asks for a date.

`${env:NAME}` inside a string value is replaced by that environment variable. A value
written without quotes is typed after the replacement, one in quotes stays text. The value of a variable never
reaches a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from eventpipe.errors import Problem
from eventpipe.project.document import Document, KeyPath, dotted

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")  # longer runs of digits are identifiers: they stay text
_DECIMAL: Final = re.compile(r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]{1,2})?|[0-9]+[eE][-+]?[0-9]{1,2})")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_REFERENCE: Final = re.compile(r"\$\{env:([^}]*\}?)")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\}")


def read_document(path: Path, file: str, environ: Mapping[str, str]) -> tuple[Document, list[Problem]]:
    """The file at `path`, named `file` in problems. An unreadable one is a document of None and a problem."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return Document(file, None), [Problem(file, None, "", f"cannot be read: {error.strerror or error}")]
    return parse_document(content, file, environ)


def parse_document(content: bytes, file: str, environ: Mapping[str, str]) -> tuple[Document, list[Problem]]:
    """`content` (at most 1 MiB of UTF-8) as a document. An empty file is an empty mapping."""
    if len(content) > MAX_BYTES:
        return Document(file, None), [Problem(file, None, "", f"is over {MAX_BYTES} bytes: split it or shorten it")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Document(file, None), [Problem(file, line, "", "is not UTF-8 text: save it as UTF-8")]
    reader = _Reader(file, environ)
    try:
        reader.read(text)
    except _Stop:
        return Document(file, None), reader.problems
    except yaml.YAMLError as error:
        return Document(file, None), [*reader.problems, _syntax_problem(file, text, error)]
    root = {} if reader.root is None else reader.root
    document = Document(file, root, reader.lines, reader.origins, unresolved=frozenset(reader.unresolved))
    return document, reader.problems


class _Stop(Exception):
    """The rest of the file cannot be read in a way that makes sense."""


@dataclass
class _Frame:
    """A mapping or list that is being filled. `key` is None while the next scalar of a mapping is a key."""

    container: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None
    discard: bool = False  # the value of a duplicate key is read, for its problems, and dropped


class _Reader:
    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self.file = file
        self.environ = environ
        self.root: Any = None
        self.lines: dict[KeyPath, int] = {(): 1}
        self.origins: dict[KeyPath, tuple[str, ...]] = {}
        self.unresolved: set[KeyPath] = set()
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.documents = 0

    def read(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_LOADER):
            mark = event.start_mark
            self._take(event, 1 if mark is None else mark.line + 1)

    def _take(self, event: yaml.Event, line: int) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._stop(line, "holds a second YAML document: keep one, without `---` between")
        elif isinstance(event, yaml.AliasEvent):
            self._stop(line, f"the alias `*{event.anchor}` is not accepted: write the value out")
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event, line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        self._refuse_tag(event.tag, line)
        if self._awaits_key():
            self._stop(line, "a key must be plain text, not a mapping or a list")
        if len(self.stack) >= MAX_DEPTH:
            self._stop(line, f"is nested deeper than {MAX_DEPTH} levels")
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._place(container, line)
        self.stack.append(_Frame(container, path))

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        self._refuse_tag(event.tag, line)
        if self._awaits_key():
            self._begin_entry(event.value, line)
            return
        path = self._next_path()
        plain = bool(event.implicit[0])
        value = _typed(event.value) if plain else event.value
        if isinstance(value, str):
            value = self._checked(self._substituted(value, plain, path, line), path, line)
        self._place(value, line)

    def _awaits_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].container, dict) and self.stack[-1].key is None

    def _begin_entry(self, key: str, line: int) -> None:
        frame = self.stack[-1]
        self._checked(key, frame.path, line)
        frame.key = key
        path = (*frame.path, key)
        frame.discard = key in frame.container
        if frame.discard:
            self._report(path, line, f"is given twice (first on line {self.lines[path]}): keep one")
        else:
            self.lines.setdefault(path, line)

    def _next_path(self) -> KeyPath:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            return (*frame.path, len(frame.container))
        return (*frame.path, frame.key or "")

    def _place(self, value: Any, line: int) -> KeyPath:
        path = self._next_path()
        if not self.stack:
            self.root = value
            return path
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            self.lines.setdefault(path, line)
            frame.container.append(value)
        else:
            if not frame.discard:
                frame.container[frame.key or ""] = value
            frame.key = None
        return path

    def _substituted(self, text: str, plain: bool, path: KeyPath, line: int) -> Any:
        references = _REFERENCE.findall(text)
        if not references:
            return text
        names = tuple(dict.fromkeys(reference.removesuffix("}") for reference in references))
        if not all(_VARIABLE.fullmatch(reference) for reference in references):
            self._report(path, line, "is no reference to an environment variable: write ${env:NAME}")
            self.unresolved.add(path)
            return text
        if missing := [name for name in names if name not in self.environ]:
            for name in missing:
                self._report(path, line, f"the environment variable {name} is not set")
            self.unresolved.add(path)
            return text
        self.origins[path] = names
        result = _REFERENCE.sub(lambda match: self.environ[match[1].removesuffix("}")], text)
        return _typed(result) if plain else result

    def _checked(self, value: Any, path: KeyPath, line: int) -> Any:
        if isinstance(value, str) and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
            self._report(path, line, "holds a NUL or half a surrogate pair: no text that can be stored")
            self.unresolved.add(path)
            return ""
        return value

    def _refuse_tag(self, tag: str | None, line: int) -> None:
        if tag is not None and tag != "!":
            self._stop(line, f"the tag `{tag}` is not accepted: write plain YAML")

    def _report(self, path: KeyPath, line: int, message: str) -> None:
        self.problems.append(Problem(self.file, line, dotted(path), message))

    def _stop(self, line: int, message: str) -> None:
        self._report(self._next_path() if not self._awaits_key() else self.stack[-1].path, line, message)
        raise _Stop


def _typed(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core rules: null, true, false, decimal numbers, else text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _syntax_problem(file: str, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    line = mark.line + 1 if mark is not None else None
    if line is None and isinstance(position, int):
        line = text.count("\n", 0, position) + 1
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    lines = text.splitlines()
    if line is not None and lines:
        line = min(line, len(lines))  # what is missing at the end is missed on the line after the last
        if "${env:" in lines[line - 1]:
            reason += "; between { } or [ ] put ${env:NAME} in quotes"
    return Problem(file, line, "", f"is not valid YAML: {reason}")
