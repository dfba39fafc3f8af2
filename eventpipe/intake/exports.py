"""What lies in the exports folder, and which of it a run may take.

exports/<source>/<YYYY-MM-DD>/<file>
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

# Dates that stand for `never` and `always` (9999-12-31, 0001-01-01): nothing landed then, and the days beside them do not exist.
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# Names that a copying tool gives to what is not complete, markers, and hidden files.
_NOT_EXPORTS = re.compile(r"^[._]|\.(done|tmp|part|partial|crdownload|swp)$|~$")


@dataclass(frozen=True, order=True)
class ExportKey:
    """An export's name: stable over its versions."""

    source: str
    landed_on: date
    file: str

    def __str__(self) -> str:
        return f"{self.source}/{self.landed_on}/{self.file}"


@dataclass(frozen=True)
class FileState:
    """What the file system says of a file, or of what a link leads to; equal states mean unchanged content (as git
    takes it)."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        try:
            seen = path.stat()
        except FileNotFoundError:
            seen = path.lstat()
        return cls(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)


@dataclass(frozen=True)
class Export:
    """An export file. `link` is true where the name or a folder above it leads out of the exports folder."""

    key: ExportKey
    path: Path
    state: FileState
    link: bool


@dataclass(frozen=True)
class Selection:
    """Which landing dates to look at, both ends included; None is open."""

    first: date | None = None
    last: date | None = None

    def takes(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


ALL_DATES = Selection()
NO_DATES = Selection(date.max, date.min)


def find(exports: Path, sources: frozenset[str], selection: Selection) -> Iterator[Export]:
    """The exports of the known sources in the selected dates, in order of source, date and name."""
    for source in sorted(sources):
        folder = exports / source
        if not folder.is_dir():
            continue
        for day_folder in sorted(folder.iterdir()):
            day = _day(day_folder.name)
            if day is None or not selection.takes(day) or not day_folder.is_dir():
                continue
            for path in sorted(day_folder.iterdir()):
                if _NOT_EXPORTS.search(path.name) or _is_folder(path):
                    continue
                try:
                    state, link = FileState.of(path), _leads_out(path, exports)
                except FileNotFoundError:
                    continue  # taken away since the folder was listed
                yield Export(ExportKey(source, day, _written(path.name)), path, state, link)


def strangers(exports: Path, sources: frozenset[str]) -> list[str]:
    """What no run will ever read, relative to `exports`: unknown sources, names that are no dates, folders below a date, and files
    with something in them whose names say that they are not complete. Hidden ones and `.done` markers are no news."""
    if not exports.is_dir():
        return []
    found = []
    for folder in sorted(path for path in exports.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if folder.name not in sources:
            found.append(folder.name)
            continue
        for inner in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
            if _day(inner.name) is None:
                found.append(f"{folder.name}/{inner.name}")
            elif inner.is_dir():
                unread = sorted(path.name for path in inner.iterdir() if _is_folder(path) or _is_left_out(path))
                found += [f"{folder.name}/{inner.name}/{_written(name)}" for name in unread if not name.startswith(".")]
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_left_out(path: Path) -> bool:
    if path.name.endswith(".done") or not _NOT_EXPORTS.search(path.name):
        return False
    try:
        return path.lstat().st_size > 0
    except FileNotFoundError:
        return False  # it is complete by now, and has its own name


def settled(export: Export, settle: timedelta, now: datetime) -> bool:
    """Quiet for `settle`, or with a `.done` marker beside it."""
    if export.path.with_name(export.path.name + ".done").exists():
        return True
    return now.timestamp() - export.state.modified_ns / 1e9 >= settle.total_seconds()


def changed(export: Export) -> bool:
    """Whether the file is another one now; one that is gone cannot be read any more either."""
    try:
        return FileState.of(export.path) != export.state
    except FileNotFoundError:
        return True


def _written(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _day(name: str) -> date | None:
    if not _DAY.fullmatch(name):
        return None
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    return day if _FIRST_DAY <= day <= _LAST_DAY else None


def _leads_out(path: Path, exports: Path) -> bool:
    target = path.resolve()
    if not target.is_relative_to(exports.resolve()):
        return True
    return path.exists() and not stat.S_ISREG(target.stat().st_mode)
