"""Promise 2, same answer: a full rebuild from the lake gives tables that are equal to the published ones.

Equal means hash-equal in all columns but those that tell of a run or the clock.
The rebuild happens in a folder of its own, from a copy of the lake that shares its files, so it neither
disturbs a run nor is disturbed by one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from eventpipe.doctor.findings import Check, Promise
from eventpipe.intake.lake import RULES
from eventpipe.project.folder import Project
from eventpipe.refresh import Refresh, RunRequest
from eventpipe.sql import identifier

RUN_COLUMNS = ("run_", "loaded_", "published_", "recorded_")
"""What the names of columns begin with that tell of a run or the clock."""

OBSERVED = frozenset(
    {"runs", "checks", "contact_id_changes", "segment_history", "trigger_decisions", "automation_triggers"}
)
"""Published tables that tell what happened and cannot be rebuilt."""

_DERIVED_PARTS = {
    "segment_members": "(select * exclude (entered_at) from segment_members)",
    "contact_timeline": "(from contact_timeline where split_part(entry_type, '.', 1) not in ('segment', 'automation'))",
}
"""What of a table can be rebuilt, where not all of it can: who is a member, not since when."""

# The tables of the working database that hold the configuration it was made with.
_CONFIGURATION = ("work.state", "run.sources", "run.identifier_types", "run.definitions", "run.declared_properties")


@dataclass(frozen=True)
class Fingerprint:
    """A table's content, whatever the order of its rows."""

    columns: tuple[str, ...]
    rows: int
    hash: int


def copy_lake(lake: Path, folder: Path) -> None:
    """A second lake in `folder` with the same exports. Files are shared where the file system can: a lake
    replaces its files and never changes them.
    """
    folder.mkdir(parents=True)
    for path in (*lake.glob(RULES), *lake.glob("*/*/*")):
        if path.suffix != ".tmp":
            target = folder / path.relative_to(lake)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(path, target)


def rebuild(project: Project, folder: Path, as_of: datetime, clock: Callable[[], datetime], run_id: str) -> Project:
    """Computes every table, as of `as_of`, from the lake copied to `folder`/lake; returns the scratch one."""
    # Whatever computed the published tables: two engines that agree are the better witnesses.
    here = project.settings.engine.model_copy(update={"spark": None})
    scratch = replace(
        project,
        lake=folder / "lake",
        warehouse=folder / "warehouse.duckdb",
        analytics=folder / "analytics.duckdb",
        ops=folder / "ops.db",
        state=folder / "state",
        settings=project.settings.model_copy(update={"engine": here}),
    )
    with Refresh(scratch, RunRequest(run_id, as_of=as_of, full_refresh=True), clock) as refresh:
        refresh.resolve()
        refresh.identify()
        refresh.model()
        refresh.segment()
    return scratch


def same_answer(
    published: duckdb.DuckDBPyConnection,
    rebuilt: duckdb.DuckDBPyConnection,
    configuration: dict[str, Fingerprint] | None,
) -> Promise:
    """Compares table by table. `configuration` is that of the working database, None when it was not
    readable.
    """
    if configuration is not None and configuration != configuration_of(rebuilt):
        detail = "The configuration changed after the last run. Run `eventpipe run`, then ask again."
        return Promise(2, "Same answer", (Check("rebuilt tables = published tables", "unchecked", {}, detail),))
    names = sorted((_tables(published) | _tables(rebuilt)) - OBSERVED)
    return Promise(2, "Same answer", tuple(_compared(published, rebuilt, name) for name in names))


def configuration_of(working: duckdb.DuckDBPyConnection) -> dict[str, Fingerprint]:
    """What the tables of a working database were made with, as far as it decides what is in them."""
    return {
        name: _fingerprint(working, name, ("fingerprint",) if name == "work.state" else None) for name in _CONFIGURATION
    }


def _compared(published: duckdb.DuckDBPyConnection, rebuilt: duckdb.DuckDBPyConnection, name: str) -> Check:
    there, made = _tables(published), _tables(rebuilt)
    if name not in there or name not in made:
        where = "published" if name in there else "rebuilt"
        return Check(
            name,
            "broken",
            {},
            f"The table is only among the {where} ones. Run `eventpipe run --full-refresh`.",
        )
    old, new = _fingerprint(published, name), _fingerprint(rebuilt, name)
    if old == new:
        return Check(name, "kept", {"rows": old.rows})
    if old.columns != new.columns:
        odd = ", ".join(sorted(set(old.columns) ^ set(new.columns))) or "their order"
        detail = (
            f"Its columns differ ({odd}): another version of eventpipe published it. Run `eventpipe run "
            "--full-refresh`."
        )
        return Check(name, "broken", {"published": old.rows, "rebuilt": new.rows}, detail)
    only_published, only_rebuilt = _differences(published, rebuilt, name, old.columns)
    return Check(
        name,
        "broken",
        {
            "published": old.rows,
            "rebuilt": new.rows,
            "only_published": only_published,
            "only_rebuilt": only_rebuilt,
        },
        "A rebuild gives other rows. `eventpipe run --full-refresh` publishes the rebuilt ones; report it "
        "with this output.",
    )


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    found = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main'"
    ).fetchall()
    return {name for (name,) in found}


def _fingerprint(connection: duckdb.DuckDBPyConnection, name: str, only: tuple[str, ...] | None = None) -> Fingerprint:
    name = _DERIVED_PARTS.get(name, name)
    described = connection.execute(f"describe from {name}").fetchall()
    columns = tuple(
        column for column, *_ in described if not column.startswith(RUN_COLUMNS) and only in (None, (column,))
    )
    row = connection.execute(f"select count(*), sum({_hash(columns)}::hugeint) from {name}").fetchone()
    assert row is not None
    return Fingerprint(columns, int(row[0]), int(row[1] or 0))


def _differences(
    published: duckdb.DuckDBPyConnection,
    rebuilt: duckdb.DuckDBPyConnection,
    name: str,
    columns: tuple[str, ...],
) -> tuple[int, int]:
    """How many rows are only here and only there, equal rows counted as often as they occur."""
    relation = _DERIVED_PARTS.get(name, name)
    query = f"select {_hash(columns)} as hash, count(*) as rows from {relation} group by hash"
    both = published.execute(query).pl().join(rebuilt.execute(query).pl(), on="hash", how="full", coalesce=True)
    surplus = both.select(pl.col("rows").fill_null(0).cast(pl.Int64) - pl.col("rows_right").fill_null(0).cast(pl.Int64))
    return (
        int(surplus.filter(pl.col("rows") > 0)["rows"].sum()),
        -int(surplus.filter(pl.col("rows") < 0)["rows"].sum()),
    )


def _hash(columns: tuple[str, ...]) -> str:
    return f"hash({', '.join(identifier(column) for column in columns)})"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
