"""What Great Expectations judges, as small pandas frames (columns: `eventpipe.project.expectations.FRAMES`).

The profiles are read as the models left them; their size is that of the days that changed, not of the data. The samples are
a bounded number of accepted reports, random and the same each time: event ids are hashes, so the lowest ones are as good
as drawn. What a sample says of properties is read from the JSON by Python, not by the engine that judged the lines.

No frame holds personal data, so that nothing made of one can: names of events that senders chose go through `shown`, unless
the project itself writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import duckdb

from eventpipe.audit.findings import shown
from eventpipe.project.definitions import EventDefinition, Registry
from eventpipe.project.expectations import FRAMES, Frame
from eventpipe.sql import literal, literals

if TYPE_CHECKING:
    import pandas as pd

PROFILES: Final[tuple[Frame, ...]] = ("event_profile", "property_profile", "value_profile")
SAMPLES: Final[tuple[Frame, ...]] = ("event_sample", "property_sample")

MISSING: Final = "missing"

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d.*)?", re.ASCII)


def changed_runs(connection: duckdb.DuckDBPyConnection, published: Collection[str]) -> list[str]:
    """The runs that wrote what nobody has judged yet: those in the working tables that did not end in a publish."""
    found = connection.execute(
        "select run_id from main.event_profile union select run_id from main.rejected_events"
        " union select run_id from run.parameters"
    ).fetchall()
    return sorted({run_id for (run_id,) in found} - set(published))


def profile(
    connection: duckdb.DuckDBPyConnection, frame: Frame, runs: Collection[str], written: Collection[str]
) -> pd.DataFrame:
    """The rows of a profile that these runs computed, in order. `written` are the names that the project writes."""
    columns = ", ".join(FRAMES[frame])
    found = connection.execute(
        f"select {columns} from main.{frame} where run_id in ({literals(runs)}) order by all"
    ).df()
    return _without_names(found, written)


def samples(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    runs: Collection[str],
    size: int,
    written: Collection[str],
) -> dict[Frame, pd.DataFrame]:
    """Both samples of the accepted reports that these runs wrote. `written` are the names that the project writes."""
    import pandas as pd

    rows = list(_sampled(connection, runs, size))
    records: Mapping[Frame, list[tuple[Any, ...]]] = {
        "event_sample": [_event(row) for row in rows],
        "property_sample": [entry for row in rows for entry in _properties(row, registry)],
    }
    # Objects, so that a column of nothing is not a column of numbers.
    found = {frame: pd.DataFrame(records[frame], columns=list(FRAMES[frame]), dtype=object) for frame in SAMPLES}
    return {frame: _without_names(rows, written) for frame, rows in found.items()}


def _without_names(rows: pd.DataFrame, written: Collection[str]) -> pd.DataFrame:
    names = rows["event_name"]
    return rows.assign(event_name=[name if name in written else shown(name) for name in names])


def _sampled(connection: duckdb.DuckDBPyConnection, runs: Collection[str], size: int) -> Iterator[dict[str, Any]]:
    columns = (
        "source, event_name, kind, landed_on, occurred_at, identifiers, goal_type, value, currency, deletion, "
        "properties, violations, definition_version, customer_id, email, phone, anonymous_id, dedupe_key, order_id, goal_name"
    )
    result = connection.execute(
        f"select {columns} from main.event_versions where run_id in ({literals(runs)})"
        f" order by event_id, landed_on, file, line, index limit {literal(size)}"
    )
    names = [column[0] for column in result.description or ()]
    while batch := result.fetchmany(1000):
        for row in batch:
            yield dict(zip(names, row, strict=True))


def _event(row: Mapping[str, Any]) -> tuple[Any, ...]:
    name: str | None = row["event_name"]
    landed_on: date = row["landed_on"]
    occurred_at: datetime = row["occurred_at"]
    end_of_landing = datetime(landed_on.year, landed_on.month, landed_on.day, tzinfo=occurred_at.tzinfo)
    return (
        row["source"],
        name,
        row["kind"],
        landed_on.isoformat(),
        len(name.encode()) if name is not None else None,
        round((occurred_at - end_of_landing).total_seconds() / 3600 - 24, 3),
        len(json.loads(row["identifiers"] or "[]")),
        row["goal_type"],
        None if row["value"] is None else float(row["value"]),
        row["value"] is None,
        row["currency"],
        row["deletion"],
        len(json.loads(row["properties"] or "{}")),
        len(row["violations"] or ()),
    )


def _properties(row: Mapping[str, Any], registry: Registry) -> Iterator[tuple[Any, ...]]:
    """One entry per property that the event's definition declares, if today's definition is what judged it."""
    definition = registry.by_name.get(row["event_name"])
    if definition is None or definition.version != row["definition_version"] or row["deletion"] == "deleted":
        return
    yield from judged_properties(row["source"], definition, json.loads(row["properties"] or "{}"), row)


def judged_properties(
    source: str, definition: EventDefinition, properties: Mapping[str, Any], fields: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """The rows of `property_sample` of one event. A required property may have come in the field that it maps to."""
    for declared in definition.properties:
        came = declared.maps_to is not None and fields.get(declared.maps_to) is not None
        yield (
            source,
            definition.name,
            declared.name,
            declared.type,
            declared.required and not came,
            definition.mode,
            seen_type(properties.get(declared.name)),
        )


def seen_type(value: object) -> str:
    """The type of a JSON value; `date` is a string that begins with a day of the calendar in ISO 8601."""
    match value:
        case None:
            return MISSING
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
    text = str(value).strip()
    if not _DAY.fullmatch(text):
        return "string"
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return "string"
    return "date"
