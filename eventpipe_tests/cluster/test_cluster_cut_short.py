"""A rebuild on Spark that is cut short: what it says, what is left, and that the next run finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from eventpipe.cluster.session import Session, folder, log
from eventpipe.errors import StageFailed
from eventpipe_tests.cluster.place import ON_THIS_MACHINE, on_spark
from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.agreement import assert_agrees
from eventpipe_tests.pipeline.histories import put
from eventpipe_tests.pipeline.shop import Shop

pytestmark = pytest.mark.spark
LATE = worlds.AS_OF[2]
EXPORTS = worlds.exports(Random(61), worlds=4, reports=12)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(worlds.project(tmp_path / "shop"))
    put(made, EXPORTS)
    return made


def processes(shop: Shop) -> list[int]:
    """The driver of a shop's rebuild and its Java: what writes to its log."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (each / "fd" / "2").readlink() == log(shop.project):
                found.append(int(each.name))
    return found


def put_aside() -> set[Path]:
    """What Java and Spark put into the machine's temporary folder."""
    made = ("spark-*", "artifacts-*", "lib*-java-*", "snappy-*")
    return {path for pattern in made for path in Path("/tmp").glob(pattern)}


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    before = put_aside()
    yield
    assert put_aside() <= before


def assert_nothing_left(shop: Shop) -> None:
    until = time.monotonic() + 20
    while processes(shop) and time.monotonic() < until:
        time.sleep(0.1)
    assert not processes(shop)
    assert not folder(shop.project).exists()


@pytest.mark.parametrize("after", ["spark.log", "spark/made/report_sequence"])
def test_interrupted(shop: Shop, after: str) -> None:
    """While Spark starts, and while it computes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "eventpipe", "run", "--project", str(shop.project.root), "--json"],
        env={**os.environ, "EVENTPIPE_SPARK": ON_THIS_MACHINE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not (shop.project.state / after).exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert_nothing_left(shop)


def test_java_is_killed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Session.write

    def kill_java(self: Session, model: str, sql: str, path: Path) -> None:
        if model == "event_states":
            _, java = sorted(processes(shop))
            os.kill(java, signal.SIGKILL)
        write(self, model, sql, path)

    monkeypatch.setattr(Session, "write", kill_java)
    with pytest.raises(StageFailed, match=r"The model event_states failed on the cluster: .*spark\.log"):
        Shop(on_spark(shop.project)).run(LATE)
    assert_nothing_left(shop)
    assert_agrees(shop.run(LATE), worlds.oracle(EXPORTS, LATE))


def test_a_master_that_is_not_there(shop: Shop) -> None:
    with pytest.raises(StageFailed, match=r"engine\.spark \(spark://127\.0\.0\.1:1\): .*All masters are unresponsive"):
        Shop(on_spark(shop.project, "spark://127.0.0.1:1")).run(LATE)
    assert_nothing_left(shop)


def test_a_java_that_does_not_start(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'Error: could not find libjava.so' >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(StageFailed, match=r"could not be started .*could not find libjava\.so"):
        Shop(on_spark(shop.project)).run(LATE)
