"""A project on real data: its eventpipe.yml lies beside the tests, its exports are third-party files.

Nothing else tells eventpipe about the data: there are no event definitions and no code for any of it.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from eventpipe.client import connect
from eventpipe.ops.runs import Counts
from eventpipe.project.folder import load_project
from eventpipe_tests.pipeline.shop import Shop

CONFIGURATIONS = Path(__file__).parent
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
"""Later than all of the data."""

# What differs between two runs that say the same.
_OF_THE_RUN = ("run_", "loaded_", "published_", "recorded_")
_OBSERVED = ("runs", "checks", "segment_history")


@dataclass(frozen=True)
class RealProject:
    """A project folder with a configuration of this folder's."""

    root: Path

    @classmethod
    def make(cls, root: Path, configuration: str) -> RealProject:
        """A project in `root`, which must not exist, with `configuration` (its name without .yml)."""
        root.mkdir(parents=True)
        shutil.copyfile(CONFIGURATIONS / f"{configuration}.yml", root / "eventpipe.yml")
        return cls(root)

    def copied(self, root: Path) -> RealProject:
        """The project as it stands, in another place."""
        shutil.copytree(self.root, root)
        return RealProject(root)

    def put(self, source: str, day: str | date, file: Path, name: str | None = None) -> Path:
        """Copies an export to where it lands; a copy is younger than what it replaces."""
        path = self.root / "exports" / source / str(day) / (name or file.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, path)
        return path

    def run(self, *, full_refresh: bool = False, expects: bool = False) -> Counts:
        """One whole run, from exports to published tables; `expects` as in `Shop`."""
        shop = Shop(load_project(self.root, {}), expects=expects)
        with shop.refresh(AS_OF, full_refresh=full_refresh) as refresh:
            refresh.everything()
            return refresh.counts

    def sql(self, query: str) -> pl.DataFrame:
        """Rows of the published tables."""
        with connect(self.root, {}) as tables:
            return tables.sql(query)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The same as tuples."""
        return self.sql(query).rows()

    def one(self, query: str) -> Any:
        """The only value."""
        return self.sql(query).item()

    def digest(self) -> dict[str, tuple[int, str]]:
        """For each published table the number of its rows, and a hash of them in any order.

        What tells of the run is left out.
        """
        columns: dict[str, list[str]] = {}
        listed = "select table_name, column_name from information_schema.columns where table_schema = 'main'"
        for table, column in self.rows(f"{listed} order by all"):
            if table not in _OBSERVED and not column.startswith(_OF_THE_RUN):
                columns.setdefault(table, []).append(f'"{column}"')
        return {
            table: self.rows(f"select count(*), coalesce(sum(hash({', '.join(names)})), 0)::varchar from {table}")[0]
            for table, names in columns.items()
        }


@contextmanager
def built_once(folder: Path, build: Callable[[Path], None]) -> Iterator[Path]:
    """`folder`, filled by `build` in the first of the test processes that asks for it; the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = Path(f"{folder}.done")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed here
            build(folder)
            done.touch()
    yield folder
