"""Promise 3: readers see the last good run, whole, at any moment; a killed run leaves it, and the next one finishes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from eventpipe.failpoints import POINTS, VARIABLE, FailPointReached
from eventpipe.intake.lake import Lake
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project, load_project
from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.histories import put
from eventpipe_tests.pipeline.processes import FAILED, KILLED, ended, start_run
from eventpipe_tests.pipeline.published import Tables, assert_same, differences, read_tables
from eventpipe_tests.pipeline.shop import Shop

BEFORE, AFTER = worlds.AS_OF[1:]


@dataclass(frozen=True)
class Halfway:
    """A project that has published once and has new and replaced exports before it; what it published, and what an
    uninterrupted run makes of it in how many seconds.
    """

    root: Path
    old: Tables
    new: Tables
    seconds: float

    def copy(self, folder: Path) -> Project:
        shutil.copytree(self.root, folder)
        return load_project(folder, {})


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Halfway:
    random = Random(41)
    folder = tmp_path_factory.mktemp("halfway")
    exports = worlds.exports(random, worlds=4, reports=30)
    first = {key: worlds.edited(random, reports) for key, reports in exports.items() if random.random() < 0.6}
    shop = Shop(worlds.project(folder / "base"))
    put(shop, first)
    old = shop.run(BEFORE)
    put(shop, exports)
    shutil.copytree(folder / "base", folder / "uninterrupted")
    started = time.monotonic()
    new = Shop(load_project(folder / "uninterrupted", {})).run(AFTER)
    seconds = time.monotonic() - started
    assert differences(old, new)
    return Halfway(folder / "base", old, new, seconds)


def assert_finishes(project: Project, halfway: Halfway) -> None:
    """The next run gives what the uninterrupted one gave, and leaves nothing of the others behind."""
    assert_same(Shop(project).run(AFTER), halfway.new, by=("after interruptions", "uninterrupted"))
    assert not [path for path in project.root.rglob("*") if path.name.endswith((".tmp", ".publishing"))]
    lake = Lake(project.lake)
    named = {lake.data_path(manifest) for manifest in lake.manifests()}
    assert set(project.lake.glob("*/*/*.parquet")) == named - {None}


_LANDING: Sequence[tuple[str, bool]] = (
    ("lake.written:kill:2", False),
    ("lake.renamed:kill:3", False),
    ("lake.committed:kill:2", False),
    ("model.done:kill", False),
)
_TABLES: Sequence[tuple[str, bool]] = (
    ("resolve.done:kill", False),
    ("identify.done:kill", False),
    ("model.remembered:kill", False),
    ("segment.done:kill", False),
    ("plan.emptying:kill:3", True),
    ("decide.judged:kill", False),
    ("decide.recorded:kill", False),
    ("publish.written:kill", False),
    ("publish.renamed:kill", False),
)


@pytest.mark.parametrize("interruptions", [_LANDING, _TABLES], ids=["landing", "tables"])
def test_a_run_killed_at_any_side_effect_is_finished_by_the_next(
    tmp_path: Path, halfway: Halfway, interruptions: Sequence[tuple[str, bool]]
) -> None:
    """One kill after another on what the one before left, then a run that is let be."""
    project = halfway.copy(tmp_path / "killed")
    for fail_at, full_refresh in interruptions:
        assert ended(start_run(project.root, AFTER, fail_at=fail_at, full_refresh=full_refresh)) == KILLED, fail_at
        expected = halfway.new if fail_at.startswith("publish.renamed") else halfway.old
        assert_same(read_tables(project.analytics), expected, by=(f"after {fail_at}", "the last good run"))
    assert_finishes(project, halfway)


def test_a_run_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path, halfway: Halfway) -> None:
    random = Random(43)
    project = halfway.copy(tmp_path / "killed")
    for number in range(3):
        process = start_run(project.root, AFTER, full_refresh=number == 1)
        time.sleep(random.uniform(0.1, 0.9) * halfway.seconds)
        process.kill()
        assert ended(process) in (KILLED, 0)
        seen = read_tables(project.analytics)
        assert not differences(seen, halfway.old) or not differences(seen, halfway.new)
    assert_finishes(project, halfway)


def test_a_run_that_fails_says_so_and_changes_nothing(
    tmp_path: Path, halfway: Halfway, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = halfway.copy(tmp_path / "failing")
    published = project.analytics.read_bytes()
    monkeypatch.setenv(VARIABLE, "identify.done:raise")
    with pytest.raises(FailPointReached, match=r"identify\.done"):
        Shop(project).run(AFTER)
    monkeypatch.delenv(VARIABLE)
    assert project.analytics.read_bytes() == published
    with OpsStore.open(project.ops) as store:
        last = runs.last(store)
    assert last is not None
    assert last.status == "failed"


def test_a_full_disk_at_publishing_leaves_the_old_tables(
    tmp_path: Path, halfway: Halfway, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = halfway.copy(tmp_path / "full")
    published = project.analytics.read_bytes()
    # The copy that is to be published is cut off in its middle.
    assert ended(start_run(project.root, AFTER, largest_file=1_000_000)) == FAILED
    assert project.analytics.read_bytes() == published
    monkeypatch.setenv(VARIABLE, "publish.written:full")
    with pytest.raises(OSError, match="No space left"):
        Shop(project).run(AFTER)
    monkeypatch.delenv(VARIABLE)
    assert project.analytics.read_bytes() == published
    assert_finishes(project, halfway)


_READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for _ in sys.stdin:
        seen = "select count(*), max(as_of) from runs join (select * from contacts limit 1) on true"
        print(connection.execute(seen).fetchone(), flush=True)
"""


class _Analyst:
    """Somebody who has the published file open, in a process of their own."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def asks(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return self._process.stdout.readline()

    def leaves(self) -> None:
        self._process.communicate(timeout=30)


def test_who_has_the_published_file_open_keeps_it(tmp_path: Path, halfway: Halfway) -> None:
    project = halfway.copy(tmp_path / "read")
    analyst = _Analyst(project.analytics)
    first = analyst.asks()
    assert first.startswith("(1, ")
    Shop(project).run(AFTER)
    assert analyst.asks() == first
    analyst.leaves()
    newcomer = _Analyst(project.analytics)
    assert newcomer.asks().startswith("(2, ")
    newcomer.leaves()


def test_every_fail_point_is_tried() -> None:
    of_runs = {point for point in POINTS if not point.startswith("deliver.")}
    assert {fail_at.partition(":")[0] for fail_at, _ in (*_LANDING, *_TABLES)} == of_runs
