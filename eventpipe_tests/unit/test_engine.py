"""The embedded engine within a project's limits."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from eventpipe.engine import in_memory, spill_folder, sweep
from eventpipe.serving.file import open_published
from eventpipe_tests import builders

# More rows to sort than fit: each reader has to find its own again.
_READER = """
import os, sys
from pathlib import Path
from eventpipe.project.folder import load_project
from eventpipe.serving.file import open_published
start = sys.argv[2]
with open_published(load_project(Path(sys.argv[1]), os.environ)) as tables:
    print(tables.execute(
        f"select sum(number)::bigint from (select number, row_number() over (order by text) as place from"
        f" (select number, repeat(md5(number::varchar), 3) as text from range({start}, {start} + 600_000) as t (number)))"
    ).fetchone()[0])
"""


def test_readers_whose_queries_do_not_fit_in_memory_do_not_meet(tmp_path: Path) -> None:
    project = builders.project(tmp_path, engine={"memory": "60MB", "threads": 2})
    project.state.mkdir()
    duckdb.connect(str(project.analytics)).close()
    reader = tmp_path / "reader.py"
    reader.write_text(_READER)
    starts = (0, 10_000_000, 20_000_000)
    readers = [
        subprocess.Popen(
            [sys.executable, str(reader), str(project.root), str(start)], stdout=subprocess.PIPE, text=True
        )
        for start in starts
    ]
    found = [each.communicate()[0].strip() for each in readers]
    assert found == [str(sum(range(start, start + 600_000))) for start in starts]
    assert not list(project.state.glob("spill-*"))


def test_instances_are_within_the_limits_of_the_project(tmp_path: Path) -> None:
    project = builders.project(tmp_path, engine={"memory": "60MB", "threads": 1, "temp_space": "1GB"})
    duckdb.connect(str(project.analytics)).close()
    names = ("threads", "memory_limit", "max_temp_directory_size", "temp_directory", "TimeZone")
    query = "select " + ", ".join(f"current_setting('{name}')" for name in names)
    spills = set()
    with in_memory(project) as one, in_memory(project) as other, open_published(project) as published:
        for instance in (one, other, published):
            threads, memory, room, spill, zone = instance.execute(query).fetchall()[0]
            assert (threads, memory, room, zone) == (1, "57.2 MiB", "953.6 MiB", "UTC")
            assert Path(spill).parent == project.state
            spills.add(spill)
    assert len(spills) == 3


def test_tables_are_read_where_nothing_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = builders.project(tmp_path)
    duckdb.connect(str(project.analytics)).close()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)  # the tests may run as root, to whom nothing is refused
    with open_published(project) as tables:
        assert tables.execute("select 1").fetchone() == (1,)


def test_what_the_killed_had_spilled_is_swept(tmp_path: Path) -> None:
    project = builders.project(tmp_path)
    left, alive = (spill_folder(project, name) for name in ("left", "alive"))
    for folder in (left, alive):
        folder.mkdir()
        (folder / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"rows")
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in (*left.iterdir(), left):
        os.utime(path, (two_days_ago, two_days_ago))
    sweep(project)
    assert alive.is_dir()
    assert not left.exists()
