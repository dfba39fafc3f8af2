"""The tables that people read, as values that can be compared: order-free, without what tells of a run or the clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from eventpipe.sql import identifier

# Spec 3: columns that carry a run's id or the wall clock begin like this, and these tables tell what was observed.
CLOCK_COLUMNS = ("run_", "loaded_", "published_", "recorded_")
OBSERVED = frozenset(
    {
        "runs",
        "checks",
        "segment_history",
        "trigger_decisions",
        "automation_triggers",
        "contact_id_changes",
    }
)
_SHOWN = 3
_WIDTH = 600

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table's content: each row with how often it occurs."""

    columns: tuple[str, ...]
    rows: Counter[Row]

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows.elements()]

    def without(self, *columns: str) -> Table:
        """The same rows without some columns."""
        kept = [place for place, name in enumerate(self.columns) if name not in columns]
        rows: Counter[Row] = Counter()
        for row, times in self.rows.items():
            rows[tuple(row[place] for place in kept)] += times
        return Table(tuple(self.columns[place] for place in kept), rows)


Tables = dict[str, Table]


def read_tables(path: Path) -> Tables:
    """Every derived table of a published database."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'main' order by table_name"
        ).fetchall()
        return {name: _derived(name, read_table(connection, name)) for (name,) in names if name not in OBSERVED}


def _derived(name: str, table: Table) -> Table:
    """Without what runs observed: since when somebody is a member, and the timeline's entries of that."""
    if name == "segment_members":
        return table.without("entered_at")
    if name == "contact_timeline":
        kind = table.columns.index("entry_type")
        return Table(
            table.columns,
            Counter({r: n for r, n in table.rows.items() if not r[kind].startswith(("segment.", "automation."))}),
        )
    return table


def read_table(connection: duckdb.DuckDBPyConnection, name: str) -> Table:
    described = connection.execute(f"describe from main.{identifier(name)}").fetchall()
    columns = tuple(column for column, *_ in described if not column.startswith(CLOCK_COLUMNS))
    selected = ", ".join(identifier(column) for column in columns)
    found = connection.execute(f"select {selected} from main.{identifier(name)}").fetchall()
    return Table(columns, Counter(tuple(_plain(value) for value in row) for row in found))


def assert_same(left: Tables, right: Tables, *, by: tuple[str, str] = ("left", "right")) -> None:
    """Fails with the rows that only one side has."""
    found = differences(left, right, by=by)
    assert not found, "\n" + "\n".join(found)


def differences(left: Tables, right: Tables, *, by: tuple[str, str] = ("left", "right")) -> list[str]:
    """What differs, as text: tables, columns, and some of the rows that only one side has."""
    found = [f"{name}: only in {by[name in right]}" for name in sorted(left.keys() ^ right.keys())]
    for name in sorted(left.keys() & right.keys()):
        one, other = left[name], right[name]
        if one.columns != other.columns:
            found.append(f"{name}: columns {one.columns} / {other.columns}")
            continue
        for side, rows in ((by[0], one.rows - other.rows), (by[1], other.rows - one.rows)):
            if rows:
                found.append(f"{name}: {rows.total()} rows only in {side}:")
                found.extend(_shown(one.columns, row) for row in sorted(rows, key=repr)[:_SHOWN])
    return found


def _shown(columns: tuple[str, ...], row: Row) -> str:
    shown = ", ".join(f"{column}={value!r}" for column, value in zip(columns, row, strict=True) if value is not None)
    return f"    {shown[:_WIDTH]}"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_plain(each) for each in value)
    if isinstance(value, dict):
        return tuple((key, _plain(each)) for key, each in value.items())
    return value
