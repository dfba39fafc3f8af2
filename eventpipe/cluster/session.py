"""The connection to Spark: a driver at the project's master, for the length of a rebuild.

What the project does not say comes from Spark's own configuration (`SPARK_CONF_DIR`, spark-defaults.conf): executors,
their memory, the cluster's security.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eventpipe.errors import StageFailed, UsageError
from eventpipe.project.folder import Project
from eventpipe.project.quantities import byte_count

# Results depend on these; they are not the user's to change.
_SEMANTICS: Mapping[str, str] = {
    "spark.sql.ansi.enabled": "true",  # what does not fit is an error, not null
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
}
# Spark's driver refuses to start with less.
_LEAST_MEMORY_MB = 512


def require(project: Project) -> None:
    """Raises `UsageError` where the project's rebuilds are computed on Spark and it cannot be started from here: without its
    Python package or without Java."""
    master = project.settings.engine.spark
    if master is None:
        return
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
    """What Spark and Java wrote to their own log in the last rebuild."""
    return project.state / "spark.log"


def sweep(project: Project) -> None:
    """Take away what a rebuild has left that was killed."""
    shutil.rmtree(folder(project), ignore_errors=True)


class Session:
    """Spark's driver at work, a process (eventpipe.cluster.driver). Errors of all methods: `StageFailed`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def start(self, master: str, conf: Mapping[str, str]) -> None:
        # What Spark answers then is often only what came of the cause.
        self._ask(f"Spark could not be started at engine.spark ({master})", is_logged=True, conf=conf)

    def stop(self) -> None:
        """The cluster gets back what it lent."""
        self._ask("Spark could not be ended", stop=True)

    def show_files(self, view: str, path: Path, schema: str | None = None) -> None:
        """Parquet files, a file or all of a folder, as a view of these columns, else of those that they have."""
        # A path to read is a pattern to Spark.
        pattern = re.sub(r"[\\*?\[\]{}]", r"\\\g<0>", str(path))
        self._ask(f"The files of {view} could not be read", view=view, parquet=f"file://{pattern}", schema=schema)

    def show(self, model: str, view: str, sql: str) -> None:
        """A query as a view."""
        self._ask(f"The model {model} failed on the cluster", view=view, sql=sql)

    def write(self, model: str, sql: str, path: Path) -> None:
        """The rows of a query as Parquet files in a new folder."""
        self._ask(f"The model {model} failed on the cluster", write=f"file://{path}", sql=sql)

    def _ask(self, what: str, *, is_logged: bool = False, **task: Any) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        said = json.loads(answer).get("error") if answer else "Spark's process ended, killed or out of memory"
        if said is not None:
            logged = self._logged() if is_logged or not answer else ""
            raise StageFailed(
                f"{what}: {said.rstrip('. ')}.{logged} The published tables are untouched; correct the cause and run "
                f"again. Spark's own log: {self._log}."
            )

    def _logged(self) -> str:
        """The last error in Spark's own log."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        found = re.findall(r"^(?:\S+ \S+ ERROR \S+ |[Ee]rror: )(.*)$", text, re.MULTILINE)
        return f" ({found[-1][:300].rstrip('. ')}.)" if found else ""


@contextmanager
def session(project: Project, name: str) -> Iterator[Session]:
    """A Spark session at the project's master, called `name` there. However the block ends, nothing of it is left."""
    engine = project.settings.engine
    assert engine.spark is not None
    spill = folder(project) / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    conf = {
        "spark.master": engine.spark,
        "spark.app.name": name,
        **_SEMANTICS,
        **_process(engine.spark, engine.memory),
    }
    with (
        log(project).open("wb") as file,
        subprocess.Popen(
            # -P: what lies in the current folder is no module of ours.
            [sys.executable, "-P", "-m", "eventpipe.cluster.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            encoding="utf-8",
            env=_environment(engine.spark, spill),
            start_new_session=True,  # an interrupt is ours to handle; and all of it can be ended at once
        ) as process,
    ):
        try:
            made = Session(process, log(project))
            made.start(engine.spark, conf)
            yield made
            with suppress(StageFailed):  # what was asked of it is done
                made.stop()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _process(master: str, memory: str) -> dict[str, str]:
    """Of the driver, the Java process on this machine."""
    settings = {
        "spark.driver.memory": f"{max(byte_count(memory) >> 20, _LEAST_MEMORY_MB)}m",
        "spark.ui.enabled": "false",  # it would listen on every address of this machine
        "spark.ui.showConsoleProgress": "false",
    }
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return settings


def _environment(master: str, spill: Path) -> dict[str, str]:
    """The driver's variables: none of ours, which hold passwords; of this Spark and no other, which would be started in its
    place; and what Java and Spark put aside on this machine lies where the next run sweeps."""
    others = ("SPARK_HOME", "SPARK_REMOTE")
    kept = {k: v for k, v in os.environ.items() if k not in others and not k.startswith("EVENTPIPE_")}
    told = shlex.join([f"-Djava.io.tmpdir={spill}"])
    java = {"JAVA_TOOL_OPTIONS": f"{kept.get('JAVA_TOOL_OPTIONS', '')} {told}".lstrip()}
    return kept | java | ({"SPARK_LOCAL_DIRS": str(spill)} if master.startswith("local") else {})
