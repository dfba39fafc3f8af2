"""The connection to Spark: a session at the project's master, for the length of a rebuild.

What the project does not say comes from Spark's own configuration (`SPARK_CONF_DIR`, spark-defaults.conf): executors,
their memory, the cluster's security.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from eventpipe.errors import StageFailed, UsageError
from eventpipe.project.folder import Project
from eventpipe.project.quantities import byte_count

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Results depend on these; they are not the user's to change.
_SEMANTICS: Mapping[str, str] = {
    "spark.sql.ansi.enabled": "true",  # what does not fit is an error, not null
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
}


def require(master: str) -> None:
    """Raises `UsageError` where Spark cannot be started from here: without its Python package or without Java."""
    if find_spec("pyspark") is None:
        raise UsageError(
            f"engine.spark names a master ({master}), and Spark's Python package is not installed here: install "
            "eventpipe[spark], or take engine.spark out."
        )
    java = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{java}/bin" if java else None) is None:
        raise UsageError(
            f"engine.spark names a master ({master}), and Spark needs Java 17 or 21, which "
            + (f"JAVA_HOME ({java}) does not lead to. Correct it" if java else "is not on the path. Install it")
            + ", or take engine.spark out."
        )


def folder(project: Project) -> Path:
    """Where a rebuild has its files; on a cluster of several machines all of them see it."""
    return project.state / "spark"


def log(project: Project) -> Path:
    """What Spark wrote to its own log in the last rebuild."""
    return project.state / "spark.log"


def sweep(project: Project) -> None:
    """Take away what a rebuild has left that was killed, and the last one's log."""
    shutil.rmtree(folder(project), ignore_errors=True)
    log(project).unlink(missing_ok=True)


@contextmanager
def session(master: str, name: str, memory: str, log: Path) -> Iterator[SparkSession]:
    """A Spark session. `name` is what the cluster calls it; `memory` the engine's limit, which the driver gets too; `log` the
    file that Spark writes its own log to."""
    interrupted = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings(), _stderr_to(log):
        # It warns that its pandas API does not know this pandas; nothing here uses it.
        warnings.simplefilter("ignore", FutureWarning)
        from pyspark.sql import SparkSession  # late: only a rebuild on a cluster needs it

        builder = SparkSession.builder.master(master).appName(name)
        for key, value in {**_SEMANTICS, **_process(master, memory)}.items():
            builder = builder.config(key, value)
        with told(f"Spark could not be started at engine.spark ({master})"):
            spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
        if threading.current_thread() is threading.main_thread():
            # Spark's own handler cancels its jobs, and would stay.
            signal.signal(signal.SIGINT, interrupted)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of Spark, and of the bridge to it, in the block are raised as `StageFailed`; `what` says what failed."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        # Of what comes from Java the first line names the call, the second says what is wrong, and a trace follows.
        lines = [line.strip(" :") for line in str(error).splitlines() if line.strip()]
        said = lines[1] if len(lines) > 1 and isinstance(error, Py4JError) else " ".join(lines)
        raise StageFailed(
            f"{what}: {said[:400]} The published tables are untouched; correct the cause and run again. "
            "Spark's own log is the project's file .eventpipe/spark.log."
        ) from error


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """For the length of the block, what this process and those that it starts write to stderr goes into a file: the driver,
    which is started here, keeps it."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _process(master: str, memory: str) -> dict[str, str]:
    """Of the driver, the Java process beside this one."""
    settings = {
        "spark.driver.memory": f"{byte_count(memory) >> 20}m",
        "spark.ui.enabled": "false",  # it would listen on every address of this machine
        "spark.ui.showConsoleProgress": "false",
    }
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return settings
