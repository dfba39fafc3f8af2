"""Rows from the engine into PostgreSQL: the engine writes CSV into a pipe, `COPY` reads it. No row becomes a Python object."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import duckdb
from sqlalchemy import Connection

from eventpipe.sql import identifier

_CHUNK = 1 << 20
_NULL = r"\N"


def copy_rows(
    source: duckdb.DuckDBPyConnection,
    query: str,
    connection: Connection,
    table: str,
    columns: tuple[str, ...],
    *,
    frozen: bool = False,
) -> None:
    """Appends the rows of a query to a table, named as SQL names it, in the connection's transaction.

    `frozen`: as vacuum would leave them, so that nobody who reads them later has to write. It takes a table that this
    transaction made, and whoever sees the table sees the rows, be their snapshot older.

    Text that reads like the mark of a null is quoted by the engine, so it stays text. Every record is quoted or has
    several fields: PostgreSQL before 18 takes a lone `\\.` for the end of the data.
    """
    names = ", ".join(identifier(name) for name in columns)
    quoted = f", force_quote ({names})" if len(columns) == 1 else ""
    driver = connection.connection.driver_connection
    assert driver is not None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="rows") as pool, driver.cursor() as cursor:
        reading, writing = os.pipe()
        try:
            statement = (
                f"copy ({query}) to '/dev/fd/{writing}'"
                f" (format csv, header false, nullstr '{_NULL}', use_tmp_file false{quoted})"
            )
            written = pool.submit(_write, source.cursor(), statement, writing)
            with cursor.copy(
                f"copy {table} ({names}) from stdin (format csv, freeze {frozen}, null '{_NULL}')"
            ) as copy:
                while chunk := os.read(reading, _CHUNK):
                    copy.write(chunk)
                written.result()  # what stopped the engine stops the copy: half of the rows are none
        finally:
            os.close(reading)  # the engine, if it still writes, finds nobody reading and stops


def _write(engine: duckdb.DuckDBPyConnection, statement: str, writing: int) -> None:
    try:
        engine.execute(statement)
    finally:
        os.close(writing)
