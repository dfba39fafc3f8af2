"""The parsed dbt project, kept in files. Parsing takes seconds, and what it gives depends on what is installed alone, so
it is kept for all projects of a user: in the user's cache folder or, where nothing can be written there, in the
project's own.

    <cache>/eventpipe/dbt/<hash>/manifest.json        dbt's public form
    <cache>/eventpipe/dbt/<hash>/manifest.msgpack     dbt's own form, read in a fraction of the time
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

import eventpipe

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_JSON, _OWN = "manifest.json", "manifest.msgpack"
_KEPT = 8


def project_dir() -> Path:
    """The dbt project: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(eventpipe.__file__).parent
    inside = package / "_dbt_project"
    return inside if inside.is_dir() else package.parent / "dbt_project"


def fingerprint() -> str:
    """A hash of the dbt project's files and of the versions that read them."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-duckdb')}".encode())
    root = project_dir()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".sql", ".yml") and "target" not in path.relative_to(root).parts:
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def manifest_json(parse: Callable[[], Manifest], own: Path) -> Path:
    """dbt's manifest.json. `parse` is called where nothing is kept yet; `own` is the project's own folder for it."""
    name = _name()
    kept = _kept(name, own)
    return (kept or _keep(parse(), name, own)) / _JSON


def manifest(parse: Callable[[], Manifest], own: Path) -> Manifest:
    """dbt's own object, which its commands change: each call gives another. Arguments as above."""
    from dbt.contracts.graph.manifest import Manifest  # late: dbt costs seconds that other commands need not pay
    from dbt.parser.manifest import extended_mashumuro_decoder

    name = _name()
    if kept := _kept(name, own):
        try:
            found: Manifest = Manifest.from_msgpack((kept / _OWN).read_bytes(), decoder=extended_mashumuro_decoder)
        except Exception:  # whatever is wrong with the file, it can be made again
            shutil.rmtree(kept, ignore_errors=True)
        else:
            return found
    made = parse()
    _keep(made, name, own)
    return made


def _name() -> str:
    """dbt's own form also says where the files lie."""
    return hashlib.sha256(f"{fingerprint()} {project_dir()}".encode()).hexdigest()[:12]


def _folders(own: Path) -> tuple[Path, Path]:
    return user_cache_path("eventpipe", appauthor=False) / "dbt", own


def _kept(name: str, own: Path) -> Path | None:
    return next((folder / name for folder in _folders(own) if _is_whole(folder / name)), None)


def _is_whole(folder: Path) -> bool:
    """Whether it is there, for this user: one that may not be looked into is not."""
    return os.access(folder / _OWN, os.R_OK)


def _keep(manifest: Manifest, name: str, own: Path) -> Path:
    shared, _ = _folders(own)
    try:
        return _write(manifest, shared / name)
    except OSError:
        return _write(manifest, own / name)


def _write(manifest: Manifest, folder: Path) -> Path:
    """The folder appears whole or not at all; where another process was faster, theirs stays."""
    from dbt.parser.manifest import extended_mashumaro_encoder

    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(dir=folder.parent, prefix="."))
    try:
        manifest.write(str(made / _JSON))  # type: ignore[no-untyped-call]  # dbt's own method has no types
        (made / _OWN).write_bytes(manifest.to_msgpack(extended_mashumaro_encoder))
        try:
            made.rename(folder)
        except OSError:
            if not _is_whole(folder):
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    _forget_oldest(folder.parent)
    return folder


def _forget_oldest(folder: Path) -> None:
    kept = [Path(each) for each in os.scandir(folder) if each.is_dir() and not each.name.startswith(".")]
    for path in sorted(kept, key=lambda each: each.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
