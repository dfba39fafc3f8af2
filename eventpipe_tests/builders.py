"""Arranging a test: a project folder, exports in it, and what intake makes of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from eventpipe.erasure.tombstones import NOBODY
from eventpipe.intake.exports import Selection
from eventpipe.intake.lake import Lake, Manifest, parquet, write_no_rows
from eventpipe.intake.land import Landed, land_exports
from eventpipe.project.folder import Project, load_project

DAY = date(2026, 1, 5)
"""The landing date of an export unless a test says otherwise."""

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)

Content = str | bytes | Iterable[object]


def project(
    folder: Path,
    *,
    sources: Mapping[str, object] | None = None,
    events: Sequence[Mapping[str, object]] = (),
    segments: Sequence[Mapping[str, object]] = (),
    automations: Sequence[Mapping[str, object]] = (),
    **settings: object,
) -> Project:
    """A project in `folder`: the entries of eventpipe.yml, definitions of events, segments and automations.

    A source is its entry, or the name of its preset; without any there is `web` with the preset canonical.
    """
    entries = {
        name: {"preset": entry} if isinstance(entry, str) else entry
        for name, entry in (sources or {"web": "canonical"}).items()
    }
    for name in ("events", "exports"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    (folder / "eventpipe.yml").write_text(json.dumps({"sources": entries, **settings}), encoding="utf-8")
    (folder / "events" / "all.yml").write_text(json.dumps({"events": list(events)}), encoding="utf-8")
    if segments:
        (folder / "segments").mkdir(exist_ok=True)
        (folder / "segments" / "all.yml").write_text(json.dumps({"segments": list(segments)}), encoding="utf-8")
    if automations or (folder / "automations").exists():
        (folder / "automations").mkdir(exist_ok=True)
        (folder / "automations" / "all.yml").write_text(
            json.dumps({"automations": list(automations)}), encoding="utf-8"
        )
    return load_project(folder, {})


def event(**fields: object) -> dict[str, object]:
    """A canonical event that nothing is wrong with; a field given as None is left out."""
    whole = {"event_name": "page.seen", "customer_id": "c1", "occurred_at": "2026-01-05T10:00:00Z"} | fields
    return {name: value for name, value in whole.items() if value is not None}


def lines(*records: object) -> bytes:
    """JSON lines: text and bytes as they are, everything else as JSON."""
    return b"".join(_line(record) + b"\n" for record in records)


def export(
    project: Project,
    content: Content,
    *,
    source: str = "web",
    name: str = "events.jsonl",
    day: date = DAY,
) -> Path:
    """Writes an export file: bytes and text as they are, records as JSON lines."""
    path = project.exports / source / day.isoformat() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content if isinstance(content, bytes) else lines(*content))
    return path


def land(project: Project, *, now: datetime = NOW, **options: Any) -> dict[str, Landed]:
    """Lands what is new; the outcome of each export by its file's name."""
    return {each.key.file: each for each in land_exports(project, Selection(), now, **{"tombstones": NOBODY} | options)}


def ledger(project: Project) -> dict[str, Manifest]:
    """The manifest of each landed export, by its file's name."""
    return {manifest.file: manifest for manifest in Lake(project.lake).manifests()}


def lake_rows(project: Project) -> pl.DataFrame:
    """The lake's current rows in landing order, one per event; JSON columns are text."""
    lake = Lake(project.lake)
    paths = [path for manifest in lake.manifests() if (path := lake.data_path(manifest)) is not None]
    if not paths:
        paths = [project.state / "no_rows.parquet"]
        write_no_rows(paths[0])
    query = f"select * from {parquet(paths)} order by source, landed_on, file, line, index"
    return _reader().execute(query).pl()


def landed(project: Project, *, now: datetime = NOW) -> pl.DataFrame:
    """Lands what is new and gives the lake's rows."""
    land(project, now=now)
    return lake_rows(project)


def judged(folder: Path, *records: object, name: str = "events.jsonl", **arranged: Any) -> pl.DataFrame:
    """The rows of one export with these records, in a project arranged as `project` does it.

    The export belongs to the project's only source.
    """
    made = project(folder, **arranged)
    export(made, records, source=next(iter(made.profiles)), name=name)
    return landed(made)


def only(rows: pl.DataFrame) -> dict[str, Any]:
    """The only row."""
    assert rows.height == 1, rows
    return rows.row(0, named=True)


def accepted(rows: pl.DataFrame) -> dict[str, Any]:
    """The only row, which was accepted; its JSON columns are parsed."""
    row = only(rows)
    assert row["reasons"] is None, row["reasons"]
    assert row["status"] == "accepted"
    for column in ("properties", "extra", "traits", "identifiers"):
        row[column] = None if row[column] is None else json.loads(row[column])
    return row


def reasons(rows: pl.DataFrame) -> list[list[str]]:
    """For each row, in order, why it was rejected: all reasons, sorted; none for an accepted row."""
    found: list[list[str]] = [sorted(each or []) for each in rows["reasons"].to_list()]
    assert [bool(each) for each in found] == [status == "rejected" for status in rows["status"]]
    return found


def quiet_since(path: Path, seconds: float, *, now: datetime = NOW) -> None:
    """Sets a file's time of modification to so many seconds before `now`."""
    at = (now - timedelta(seconds=seconds)).timestamp()
    os.utime(path, (at, at))


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _line(record: object) -> bytes:
    if isinstance(record, bytes):
        return record
    return record.encode() if isinstance(record, str) else json.dumps(record, ensure_ascii=False).encode()
