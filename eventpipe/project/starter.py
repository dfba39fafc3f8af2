"""The project that `eventpipe init` writes: commented settings, four sources, a first tracking plan.

The files are package data in the folder `starter` beside this module, laid out as in a project.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final

from eventpipe.errors import UsageError
from eventpipe.project.place import refuse_place
from eventpipe.project.settings import FILE

SOURCES: Final = ("redo", "notifuse", "customerio", "arsel")
"""The sources of the starter's eventpipe.yml: each gets its folder in exports/."""

_IGNORED: Final = """\
# What eventpipe makes from the exports, and the exports: customers' data does not belong in a repository.
exports/
lake/
*.duckdb
*.duckdb.wal
ops.db
ops.db-*
outbox/
.eventpipe/
"""


def create_project(directory: Path) -> list[Path]:
    """Writes the starter project into `directory` and lists what was made: files, then folders.

    Raises UsageError, with nothing written, where no project can lie, one is already, or a file of the starter's would be
    overwritten. An existing .gitignore is left as it is.
    """
    refuse_place(directory.resolve())
    templates = {directory / path: content for path, content in _templates()}
    _refuse_existing(directory, templates)
    if not (directory / ".gitignore").exists():
        templates[directory / ".gitignore"] = _IGNORED
    folders = [directory / "exports" / source for source in SOURCES]
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, content in templates.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{directory} cannot hold a project: {error.strerror or error}") from error
    return [*templates, *folders]


def _refuse_existing(directory: Path, templates: dict[Path, str]) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file. Name a folder that is empty or does not exist yet.")
    if (directory / FILE).exists():
        raise UsageError(f"{directory} has an {FILE} already: it is a project. Name another folder.")
    if taken := [path for path in templates if path.exists()]:
        names = ", ".join(str(path.relative_to(directory)) for path in taken)
        raise UsageError(f"{directory} has {names} already. Move that away or name another folder.")


def _templates() -> Iterator[tuple[PurePosixPath, str]]:
    yield from _under(files("eventpipe.project") / "starter", PurePosixPath())


def _under(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _under(entry, path / entry.name)
        elif entry.name.endswith(".yml"):
            yield path / entry.name, entry.read_text(encoding="utf-8")
