"""Ctrl-C for queries of the engine, which looks for it only between pieces of work that can take hours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """What `work` returns, which only asks `connection`. KeyboardInterrupt stops the query at once and goes on
    to the caller; other errors are those of `work`.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="query") as pool:
        working = pool.submit(work)
        try:
            return working.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise
