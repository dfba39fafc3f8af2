"""Projects whose rebuilds are computed on Spark, and a cluster for them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from eventpipe.project.folder import Project

ON_THIS_MACHINE = "local[2]"


def on_spark(project: Project, master: str = ON_THIS_MACHINE) -> Project:
    """The project with `engine.spark`."""
    engine = project.settings.engine.model_copy(update={"spark": master})
    return replace(project, settings=project.settings.model_copy(update={"engine": engine}))


@contextmanager
def standalone(folder: Path, workers: int = 2) -> Iterator[str]:
    """A cluster as Spark ships it, each part a process: a master and workers with one core. Gives the master's address."""
    address = f"spark://127.0.0.1:{_free_port()}"
    port = address.rpartition(":")[2]
    with ExitStack() as stack:
        web = ["--webui-port", "0"]
        master = ["master.Master", "--host", "127.0.0.1", "--port", port, *web]
        stack.enter_context(_part(folder / "master.log", "MasterWebUI", *master))
        for number in range(workers):
            worker = ["worker.Worker", "--cores", "1", "--memory", "1g", "--host", "127.0.0.1", *web]
            work = ["--work-dir", str(folder / f"work-{number}")]
            log = folder / f"worker-{number}.log"
            stack.enter_context(_part(log, "Successfully registered with master", *worker, *work, address))
        yield address


@contextmanager
def _part(log: Path, ready: str, name: str, *arguments: str) -> Iterator[None]:
    """A part of the cluster, from when its log says that it is ready."""
    import pyspark  # where it is not installed, tests that need it are still collected

    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ}) as process:
        try:
            until = time.monotonic() + 60
            while ready not in log.read_text(encoding="utf-8", errors="replace"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
