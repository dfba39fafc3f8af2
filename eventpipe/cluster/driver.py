"""Spark's driver, in a process of its own: it does what it is told, line by line, and ends with whoever started it.

In: one JSON object per line. Out: for each one line, `{}` when it is done or `{"error": what is wrong}`.

    {"conf": {key: value}}                          start; the settings of the session
    {"view": name, "parquet": path, "schema": ddl}  a view of Parquet files; without a schema, as the files say
    {"view": name, "sql": query}                    a view of a query
    {"write": path, "sql": query}                   the rows of a query, as Parquet files in a new folder
    {"stop": true}                                  give back what the cluster lent

What Spark and Java print goes where this process's stderr goes. Nothing here knows eventpipe.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MOST = 600


def main() -> None:
    """Serves the standard input until it ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # Java keeps what it finds there, and may print
        spark: SparkSession | None = None
        for line in _lines():
            task = json.loads(line)
            try:
                if "conf" in task:
                    spark = _started(task["conf"])
                else:
                    assert spark is not None
                    _done(spark, task)
            except Exception as error:  # whatever it is, who asked must hear of it
                print(json.dumps({"error": _said(error)}), file=answers, flush=True)
            else:
                print("{}", file=answers, flush=True)


def _lines() -> Iterator[str]:
    """The lines of the standard input. When it ends, so does the process at once, whatever Spark is at: who asked is gone."""
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    Thread(target=read, daemon=True).start()
    return iter(lines.get, None)


def _started(conf: dict[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _done(spark: SparkSession, task: dict[str, Any]) -> None:
    if "stop" in task:
        spark.stop()
        return
    if "sql" in task:
        rows = spark.sql(task["sql"])
    else:
        reader = spark.read.schema(task["schema"]) if task["schema"] else spark.read
        rows = reader.parquet(task["parquet"])
    if "write" in task:
        rows.write.parquet(task["write"])
    else:
        rows.createOrReplaceTempView(task["view"])


def _said(error: Exception) -> str:
    """What is wrong, without the trace: the innermost cause where Java names causes."""
    text = str(error)
    causes = re.findall(r"^\s*Caused by: (.*)$", text, re.MULTILINE)
    lines = [line.strip(" :") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    # Of what comes from Java the first line may name the call alone, and the second says what was wrong with it.
    first = (
        lines[1] if len(lines) > 1 and lines[0].startswith("An error occurred while calling") else (lines or [""])[0]
    )
    told = causes[-1] if causes else first
    return (told or type(error).__name__)[:_MOST]


if __name__ == "__main__":
    main()
