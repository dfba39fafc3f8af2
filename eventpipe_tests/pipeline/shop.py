"""A project that is run again and again in one process, as people run it: exports appear, change, and time goes by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from eventpipe.audit.suites import library
from eventpipe.cli.launch import taken_out
from eventpipe.ops.runs import RunKind
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project
from eventpipe.refresh import Refresh, RunRequest
from eventpipe.warehouse.dbt import NOTHING_MADE, Dbt, Node
from eventpipe_tests.pipeline.published import Tables, read_tables

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


def now() -> datetime:
    return datetime.now(UTC)


class ParsedOnce(Dbt):
    """dbt that parses its models once for all projects of this process: they are the same, and it takes seconds."""

    _of_all: Manifest | None = None

    def __init__(self, project: Project, *, of_columns: bool = True) -> None:
        super().__init__(project)
        self._of_columns = of_columns

    def run(self, *select: str, command: str = "run", made: Mapping[str, str] = NOTHING_MADE) -> list[Node]:
        asked = select if command == "run" or self._of_columns else ("test_type:singular",)
        return super().run(*asked, command=command, made=made)

    def _parse(self) -> Manifest:
        if ParsedOnce._of_all is None:
            ParsedOnce._of_all = super()._parse()
        return ParsedOnce._of_all


class Shop:
    """A project and its runs. Great Expectations and the tests of single columns have their say only where a test is about that
    (`expects`): they cost each run more than a second, and change no table. The arithmetic between tables is always tested.
    """

    def __init__(self, project: Project, *, expects: bool = False) -> None:
        self.project = (
            project if expects else replace(project, audit=project.audit.model_copy(update={"expectations": ()}))
        )
        self.dbt = ParsedOnce(project, of_columns=expects)
        if self.project.audit.expectations:
            library()  # so that its import is paid once here, not by a process of each run

    def refresh(self, as_of: datetime | None = None, *, full_refresh: bool = False) -> Refresh:
        """A run that has not begun: a context manager whose stages are its methods."""
        request = RunRequest(f"run-{uuid4()}", as_of=as_of, full_refresh=full_refresh)
        return Refresh(self.project, request, now, dbt=self.dbt)

    def run(self, as_of: datetime | None = None, *, full_refresh: bool = False) -> Tables:
        """A whole run, and what it published."""
        with self.refresh(as_of, full_refresh=full_refresh) as refresh:
            refresh.everything()
        return self.tables()

    def take_out(self, kind: RunKind) -> Tables:
        """The run after something was taken out of the lake, and what it published."""
        with OpsStore.open(self.project.ops) as store:
            request = taken_out(kind, store)
        with Refresh(self.project, request, now, dbt=self.dbt) as refresh:
            refresh.everything()
        return self.tables()

    def tables(self) -> Tables:
        return read_tables(self.project.analytics)

    def put(self, source: str, day: str, name: str, content: bytes) -> Path:
        """An export file, new or in place of another one."""
        path = self.project.exports / source / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def rows(tables: Tables, name: str, *columns: str) -> list[tuple[object, ...]]:
    """A published table's rows as sorted tuples of these columns."""
    found: Iterable[tuple[object, ...]] = (
        tuple(record[column] for column in columns) for record in tables[name].records()
    )
    return sorted(found, key=repr)
