"""Generated projects on disk: written once for each set of parameters, and copied cheaply for each run."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import duckdb

from benchmarks import project_files
from benchmarks.generator import write_project
from benchmarks.population import Population, landing_days, lines_sql

_CHUNK = 8 << 20


def dataset(work: Path, population: Population) -> Path:
    """The folder of the population's project, generated unless it is there. No run writes into it."""
    folder = work / "data" / _key(population)
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        write_project(partial, population)
        partial.rename(folder)
    return folder


def fresh_copy(project: Path, target: Path) -> Path:
    """Make `target` a project with the same exports and nothing landed; what was there before is removed.

    Exports are linked where the file system can, so the copy costs no time and no space.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(project, target, copy_function=_link_or_copy)
    return target


def warm(project: Path) -> int:
    """Read every export, so that whoever is timed first does not pay for the disk; give the bytes."""
    total = 0
    for export in sorted((project / "exports").rglob("*.jsonl")):
        with export.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                total += len(chunk)
    return total


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _key(population: Population) -> str:
    """Names the parameters and, shortened, everything else the bytes depend on."""
    recipe = "\n".join(
        [
            duckdb.__version__,
            lines_sql(population, landing_days(population)[0]),
            project_files.SETTINGS,
            project_files.ORDERS,
            project_files.PRODUCTS,
        ]
    )
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    return f"{population.events}-{population.days}-{population.seed}-{digest}"
