"""Before anything is read: what Spark needs is asked for by name. Nothing here starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventpipe.cluster import session
from eventpipe.cluster.dialect import to_spark
from eventpipe.cluster.session import require
from eventpipe.errors import ConfigurationError, UsageError
from eventpipe_tests.builders import project
from eventpipe_tests.pipeline.shop import Shop


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Spark's package and Java, as far as is looked for; the folder that Java lies in."""
    monkeypatch.setattr(session, "find_spec", lambda _: object())
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(mode=0o755)
    monkeypatch.setenv("JAVA_HOME", str(java.parents[1]))
    return java.parent


@pytest.mark.parametrize(
    "master",
    [
        "spark://host:7077",
        "spark://one:7077,two:7077",
        "yarn",
        "k8s://https://host:6443",
        "local",
        "local[*]",
        "local[2]",
        "local-cluster[2,1,1024]",
    ],
)
def test_masters(tmp_path: Path, master: str) -> None:
    assert project(tmp_path, engine={"spark": master}).settings.engine.spark == master


@pytest.mark.parametrize(
    "master",
    ["", "host:7077", "spark://host", "local[", "local[,]", "local[ ]", "local-cluster", "true", "http://host:8080"],
)
def test_what_is_no_master(tmp_path: Path, master: str) -> None:
    with pytest.raises(ConfigurationError, match=r"engine\.spark: .*write spark://host:7077"):
        project(tmp_path, engine={"spark": master})


def test_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"yarn.* not installed here: install eventpipe\[spark\]"):
        require(project(tmp_path, engine={"spark": "yarn"}))
    require(project(tmp_path))


def test_with_its_package_and_java(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path, engine={"spark": "yarn"})
    require(made)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(installed))
    require(made)


def test_without_java(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(tmp_path, engine={"spark": "yarn"})
    (installed / "java").unlink()
    with pytest.raises(UsageError, match=r"Java 17 or 21, which JAVA_HOME \(.*jdk\) does not lead to"):
        require(made)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(installed))
    with pytest.raises(UsageError, match="Java 17 or 21, which is not on the path"):
        require(made)


def test_a_run_asks_before_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _: None)
    shop = Shop(project(tmp_path, engine={"spark": "yarn"}))
    with pytest.raises(UsageError, match="not installed here"):
        shop.run()
    assert not (tmp_path / "ops.db").exists()


def test_days_of_a_time_zone_are_not_for_a_cluster() -> None:
    """Java's calendar is another one than the engine's, and each machine's is its own."""
    with pytest.raises(ValueError, match="leave the model's tag by_event out"):
        to_spark("select cast(timezone('Europe/Berlin', at) as date) from m.facts", lambda _, name: name)
