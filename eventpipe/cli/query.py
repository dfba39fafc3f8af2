"""`eventpipe query`: asks the published tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer

from eventpipe.cli.options import DebugOption, ProjectOption, open_project
from eventpipe.cli.terminal import err, out, table
from eventpipe.cli.values import JsonText, csv_line, json_text, plain
from eventpipe.errors import UsageError

if TYPE_CHECKING:
    from eventpipe.serving.reading import Answer

SHOWN_ROWS = 200
"""Rows of a table on the terminal, unless --limit says otherwise."""

_BATCH = 10_000
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT")

Format = Literal["table", "csv", "json", "parquet"]


def query(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="One query, in DuckDB's SQL; in PostgreSQL's where that serves.")
    ],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Write here instead of to stdout; its extension may say the format."),
    ] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write CSV; text that looks like a formula gets an apostrophe.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write a JSON list with an object per row.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"Rows at most. Default: all; {SHOWN_ROWS} of a table on the terminal."),
    ] = None,
    project: ProjectOption = None,
    _debug: DebugOption = False,
) -> None:
    """Ask the published tables, read-only. A run that publishes meanwhile changes nothing under the query."""
    from eventpipe.serving.reading import reading

    form = _format(csv=csv, parquet=parquet, json=json, file=file)
    with reading(open_project(project)) as store:
        rows = Rows(store.ask(sql), limit)
        if form == "table":
            _show(rows, limit)
        elif file is not None:
            _write_file(rows, form, file)
        else:
            _write(rows, form, sys.stdout.buffer)


class Rows:
    """The first `limit` rows of an answer, None for all, fetched as they are asked for. Column names are made distinct: `a`, `a_1`."""

    def __init__(self, answer: Answer, limit: int | None) -> None:
        self._answer = answer
        self._limit = limit
        self.columns = _distinct([each.name for each in answer.columns])
        self.types = [each.type for each in answer.columns]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return islice(self._all(), self._limit)

    def _all(self) -> Iterator[tuple[Any, ...]]:
        while batch := self._answer.fetch(_BATCH):
            yield from batch

    def batches(self) -> Any:
        """The rows as Arrow record batches: the schema, and an iterator."""
        schema, batches = self._answer.batches(_BATCH)
        return schema, _limited(batches, self._limit)

    def objects(self) -> Iterator[str]:
        """Each row as a JSON object; JSON columns are part of it, not text in it."""
        is_json = [each == "JSON" for each in self.types]
        for row in self:
            cells = (
                JsonText(value) if json and value is not None else value
                for value, json in zip(row, is_json, strict=True)
            )
            yield json_text(dict(zip(self.columns, cells, strict=True)))


def _format(*, csv: bool, parquet: bool, json: bool, file: Path | None) -> Format:
    formats: dict[Format, bool] = {"csv": csv, "parquet": parquet, "json": json}
    asked = [form for form, is_asked in formats.items() if is_asked]
    if len(asked) > 1:
        raise UsageError(f"The result is written in one format: take one of --{' and --'.join(asked)}.")
    if asked:
        return asked[0]
    if file is None:
        return "table"
    match file.suffix.lower():
        case ".csv":
            return "csv"
        case ".parquet":
            return "parquet"
        case ".json":
            return "json"
    raise UsageError(f"The name {file} does not say the format: add --csv, --parquet or --json.")


def _show(rows: Rows, limit: int | None) -> None:
    shown = list(islice(rows, SHOWN_ROWS + 1)) if limit is None else list(rows)
    more, shown = (
        limit is None and len(shown) > SHOWN_ROWS,
        shown if limit is not None else shown[:SHOWN_ROWS],
    )
    numbers = [position for position, kind in enumerate(rows.types) if any(each in kind for each in _NUMBERS)]
    cells = [["null" if value is None else plain(value) for value in row] for row in shown]
    out().print(table(rows.columns, cells, right=numbers))
    if more:
        err().print(
            f"The first {SHOWN_ROWS} rows; there are more. --limit N shows N, --csv and --json all.",
            soft_wrap=True,
        )


def _write(rows: Rows, form: Format, file: IO[bytes]) -> None:
    if form == "csv":
        for values in chain([rows.columns], rows):
            file.write(csv_line(values).encode("utf-8", "backslashreplace"))
    elif form == "json":
        file.write(b"[")
        for number, text in enumerate(rows.objects()):
            file.write(((",\n " if number else "") + text).encode("utf-8", "backslashreplace"))
        file.write(b"]\n")
    else:
        _write_parquet(rows, file)
    file.flush()


def _write_parquet(rows: Rows, file: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    if file.isatty():
        raise UsageError(
            'Parquet is no text for a terminal: name a file after the query, eventpipe query "select ..." rows.parquet'
        )
    schema, batches = rows.batches()
    with pq.ParquetWriter(file, schema.with_metadata(None), compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _limited(batches: Any, limit: int | None) -> Iterator[Any]:
    left = limit
    for batch in batches:
        if left is None:
            yield batch
            continue
        if left <= 0:
            return
        yield batch.slice(0, left)
        left -= batch.num_rows


def _write_file(rows: Rows, form: Format, path: Path) -> None:
    with _whole(path) as file:
        _write(rows, form, file)
    err().print(f"Wrote {path}.", soft_wrap=True)


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        file = temporary.open("wb")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name a file in a folder that exists.") from error
    try:
        with file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _distinct(names: Sequence[str]) -> list[str]:
    taken: set[str] = set()
    found = []
    for name in names:
        candidate, number = name, 0
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        found.append(candidate)
    return found
