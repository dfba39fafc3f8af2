"""What a run touches, worked out once and left in the schema `run` for every later step.

    run.parameters        one row: run_id, as_of, workspace_id
    run.sources           source, configured or in the lake: on_conflict, authority, compat
    run.identifier_types  identifier type: is_known, strength, most per contact
    run.definitions       event definition: description, version
    run.rfm_settings      one row, run.rfm_segments: how orders are scored (see eventpipe.warehouse.rfm)
    run.declared_properties  spelling of a property that a definition declares: the name is place 0, its aliases follow
    run.exports           export: the ledger's columns and those of the export itself, from the lake's manifests
    run.changed_exports   export whose rows in the working database are outdated (gone, replaced)
    run.new_rows          a view of the lake's rows that the working database does not hold yet
    run.reopened          report of an event that must be resolved again, as it was stored
    run.reopened_events   event_id of those, and how each stood among the events; null where it did not
    run.outdated_cells    source, event and day of what is taken out of the stored tables

A full rebuild is a run whose working database is empty: everything is new, nothing is stored, no other code runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from eventpipe.failpoints import reach
from eventpipe.intake.contract import LAKE_COLUMNS
from eventpipe.intake.lake import Lake, Manifest, parquet, write_no_rows
from eventpipe.project.folder import Project
from eventpipe.project.sources import MergeRules
from eventpipe.sql import literal, literals
from eventpipe.warehouse import parsed
from eventpipe.warehouse.rfm import write_rfm_settings

# Raise it when the meaning of what Python stores in the working tables changes: the next run rebuilds. A change of the
# dbt project is seen by itself.
IDENTITY_VERSION = "3"

_WORKING_SCHEMAS = ("main", "work", "run")
# What a stored event or version keeps of its line in the lake: enough to be resolved again without reading it.
REPORT_COLUMNS = tuple(column for column in LAKE_COLUMNS if column not in ("status", "reasons", "raw", "raw_is_base64"))
_EXPORT = "source, landed_on, file"
# Where a report counts in the profile; the same as in the model touched_cells.
_CELL = (
    "workspace_id, source, coalesce(event_name, '') as event_name,"
    " coalesce(make_timestamp(epoch_us(occurred_at))::date, landed_on) as day"
)
# How many rows a scan is told to read and no others: with more, asking for each row costs more than reading it.
_MOST_LISTED_ROWS = 10_000
_REOPENED_EVENT = "event_id, workspace_id, identifiers"
_SPELLING_TYPES = {
    "event_name": pl.String,
    "property": pl.String,
    "type": pl.String,
    "is_required": pl.Boolean,
    "place": pl.Int64,
    "spelling": pl.String,
}
_EXPORT_TYPES: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "source": pl.String,
    "landed_on": pl.Date,
    "file": pl.String,
    "sha256": pl.String,
    "bytes": pl.Int64,
    "lines": pl.Int64,
    "accepted": pl.Int64,
    "rejected": pl.Int64,
    "blank": pl.Int64,
    "status": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "data": pl.String,
    "loaded_at": pl.String,
    "columns": pl.List(pl.String),
}


@dataclass(frozen=True)
class Plan:
    """Whether the run rebuilds, and why; the lake's files that it reads; how many exports and events it touches."""

    rebuild: str | None
    new_files: tuple[Path, ...]
    outdated_exports: int
    reopened_events: int

    @property
    def new_exports(self) -> int:
        return len(self.new_files)

    @property
    def is_empty(self) -> bool:
        """Whether the tables stay as they are, but for what time alone changes."""
        return not (self.rebuild or self.new_files or self.outdated_exports or self.reopened_events)


def make_plan(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    *,
    run_id: str,
    as_of: datetime,
    full_refresh: bool,
) -> Plan:
    """Write the schema `run`. Tables that a rebuild will make again are dropped here."""
    connection.execute("create schema if not exists run; create schema if not exists work")
    rebuild = _reason_to_rebuild(connection, project, as_of, full_refresh)
    if rebuild:
        _empty(connection)
    lake = Lake(project.lake)
    manifests = list(lake.manifests())
    _parameters(connection, project, run_id, as_of)
    _sources(connection, _merge_rules(project, (manifest.source for manifest in manifests)))
    _declared(connection, project)
    write_rfm_settings(connection, project.settings)
    _exports(connection, manifests)
    _changes(connection)
    new = _new_rows(connection, lake, manifests)
    reopened = _reopened(connection)
    # From here on the models change stored tables: until `remember`, a next run can only rebuild.
    connection.execute("drop table if exists work.state")
    return Plan(rebuild, new, _count(connection, "run.changed_exports"), reopened)


def remember(connection: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Record, when the models are done, which exports the working database now holds, and as of when."""
    connection.execute("begin")
    connection.execute(
        f"create or replace table work.loaded_exports as select {_EXPORT}, data from run.exports where data is not null"
    )
    connection.execute(
        "create or replace table work.state as"
        f" select run_id, as_of, {literal(_fingerprint(connection, project))} as fingerprint from run.parameters"
    )
    connection.execute("commit")


def _reason_to_rebuild(
    connection: duckdb.DuckDBPyConnection, project: Project, as_of: datetime, full_refresh: bool
) -> str | None:
    if full_refresh:
        return "asked for"
    if not _exists(connection, "work", "state"):
        return "the working database is empty or an earlier run did not finish"
    stored = connection.execute("select as_of, fingerprint from work.state").fetchone()
    assert stored is not None
    if stored[1] != _fingerprint(connection, project):
        return "the configuration or the models changed"
    if as_of < stored[0]:
        return "as_of lies before that of the last run"
    return None


def _merge_rules(project: Project, sources: Iterable[str]) -> dict[str, MergeRules]:
    """Of each of these sources, of each that is configured, and of those that were: what they sent stays."""
    configured = {name: profile.merge_rules for name, profile in project.profiles.items()}
    return {name: MergeRules() for name in sources} | Lake(project.lake).rules() | configured


def _fingerprint(connection: duckdb.DuckDBPyConnection, project: Project) -> str:
    """A hash of what the stored tables depend on beside the lake."""
    # A source that is new, or gone before it sent anything, is in no stored table.
    found = connection.execute("select distinct source from work.loaded_exports").fetchall()
    stored = [name for (name,) in found]
    rules = _merge_rules(project, stored)
    content = {
        "models": parsed.fingerprint(),
        "identities": IDENTITY_VERSION,
        "workspace": project.settings.workspace,
        "timezone": project.settings.timezone,
        "currency": project.settings.currency,
        "identity": project.settings.identity.model_dump(mode="json"),
        "corrections": project.corrections.model_dump(mode="json"),
        "rfm": project.settings.rfm.model_dump(),
        "sources": {name: asdict(rules[name]) for name in stored},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _empty(connection: duckdb.DuckDBPyConnection) -> None:
    # First what vouches for the rest: a run that is killed between two of these drops leaves no state to go on from.
    connection.execute("drop table if exists work.state")
    found = connection.execute(
        "select table_schema, table_name, table_type from information_schema.tables"
        f" where table_schema in ({literals(_WORKING_SCHEMAS)}) order by table_type desc"
    ).fetchall()
    for schema, name, kind in found:
        connection.execute(f'drop {"view" if kind == "VIEW" else "table"} if exists {schema}."{name}" cascade')
        reach("plan.emptying")


def _parameters(connection: duckdb.DuckDBPyConnection, project: Project, run_id: str, as_of: datetime) -> None:
    connection.execute(
        "create or replace table run.parameters as select $1::varchar as run_id, $2::timestamptz as as_of,"
        " $3::varchar as workspace_id",
        [run_id, as_of, project.settings.workspace],
    )


def _sources(connection: duckdb.DuckDBPyConnection, rules: Mapping[str, MergeRules]) -> None:
    sources = pl.DataFrame(
        [{"source": name, **asdict(each)} for name, each in rules.items()],
        schema={"source": pl.String, "on_conflict": pl.String, "authority": pl.Int64, "compat": pl.String},
    )
    _store(connection, "run.sources", sources)


def _declared(connection: duckdb.DuckDBPyConnection, project: Project) -> None:
    types = project.settings.identity.types
    identifiers = pl.DataFrame(
        {
            "identifier_type": [each.name for each in types],
            "is_known": [each.known for each in types],
            "strength": list(range(len(types))),
            "most": [each.limit for each in types],
        }
    )
    _store(connection, "run.identifier_types", identifiers)
    definitions = pl.DataFrame(
        [
            {"event_name": each.name, "description": each.description, "definition_version": each.version}
            for each in project.registry.definitions
        ],
        schema={"event_name": pl.String, "description": pl.String, "definition_version": pl.String},
    )
    _store(connection, "run.definitions", definitions)
    spellings = pl.DataFrame(
        [
            (each.name, declared.name, declared.type, declared.required, place, spelling)
            for each in project.registry.definitions
            for declared in each.properties
            for place, spelling in enumerate((declared.name, *declared.aliases))
        ],
        schema=_SPELLING_TYPES,
        orient="row",
    )
    _store(connection, "run.declared_properties", spellings)


def _exports(connection: duckdb.DuckDBPyConnection, manifests: Iterable[Manifest]) -> None:
    rows = [{name: getattr(manifest, name) for name in _EXPORT_TYPES} for manifest in manifests]
    _store(connection, "run.exports", pl.DataFrame(rows, schema=_EXPORT_TYPES))


def _changes(connection: duckdb.DuckDBPyConnection) -> None:
    if not _exists(connection, "work", "loaded_exports"):
        connection.execute(f"create table work.loaded_exports as select {_EXPORT}, data from run.exports where false")
    connection.execute(
        f"create or replace table run.changed_exports as select {_EXPORT} from ("
        f" select {_EXPORT}, data from work.loaded_exports"
        f" except select {_EXPORT}, data from run.exports)"
    )


def _new_rows(connection: duckdb.DuckDBPyConnection, lake: Lake, manifests: Iterable[Manifest]) -> tuple[Path, ...]:
    loaded = {
        (source, landed_on, file, data)
        for source, landed_on, file, data in connection.execute("from work.loaded_exports").fetchall()
    }
    new = tuple(
        path
        for manifest in manifests
        if (path := lake.data_path(manifest)) is not None
        and (manifest.source, manifest.landed_on, manifest.file, manifest.data) not in loaded
    )
    # Of many files the first says what all columns are, and an older eventpipe may have written it.
    empty = _empty_lake(lake)
    today = connection.execute(f"describe select {', '.join(LAKE_COLUMNS)} from {parquet([empty])}").fetchall()
    columns = ", ".join(f"{name}::{type} as {name}" for name, type, *_ in today)
    rows = parquet(new or [empty])
    connection.execute(f"create or replace view run.new_rows as select {columns} from {rows}")
    return new


def _empty_lake(lake: Lake) -> Path:
    """A Parquet file without rows: the columns and types of today, and all there is to read where nothing landed."""
    path = lake.root / "_no_rows.parquet"
    temporary = Path(f"{path}.tmp")
    write_no_rows(temporary)
    temporary.replace(path)
    return path


def _reopened(connection: duckdb.DuckDBPyConnection) -> int:
    """Stored events that new rows, outdated exports, passed time or a shared order touch, and their stored reports."""
    columns = ", ".join(REPORT_COLUMNS)
    if not _exists(connection, "main", "events"):
        connection.execute(f"create or replace table run.reopened as select {columns} from run.new_rows where false")
        connection.execute(
            "create or replace table run.reopened_events as"
            f" select {_REOPENED_EVENT}, null::varchar as contact_id from run.new_rows where false"
        )
        connection.execute(
            f"create or replace table run.outdated_cells as select {_CELL} from run.new_rows where false"
        )
        return 0
    connection.execute(f"""
        create or replace temp table touched as
        select event_id from run.new_rows where status = 'accepted'
        union
        select event_id from main.events semi join run.changed_exports using ({_EXPORT})
        union
        select event_id from main.event_history semi join run.changed_exports using ({_EXPORT})
        union
        select event_id from main.event_history, run.parameters where status = 'future' and occurred_at <= as_of
    """)
    # One order is one event across sources: whoever shares an order with a touched report is judged again with it.
    connection.execute("""
        create or replace temp table touched_orders as
        select workspace_id, event_name, order_key from run.new_rows where status = 'accepted' and order_key is not null
        union
        select workspace_id, event_name, order_key from main.events semi join touched using (event_id)
        where order_key is not null
        union
        select workspace_id, event_name, order_key from main.event_history semi join touched using (event_id)
        where order_key is not null
    """)
    connection.execute("""
        create or replace temp table reopened_ids as
        select event_id from main.events semi join touched using (event_id)
        union
        select event_id from main.events semi join touched_orders using (workspace_id, event_name, order_key)
        union
        select event_id from main.event_history semi join touched using (event_id)
        union
        select event_id from (from main.event_history where is_winner)
        semi join touched_orders using (workspace_id, event_name, order_key)
    """)
    # All columns are read by row: the scan is told the rows that are looked for, while they are few enough to list, and
    # leaves out the others. Ids it would have to read for every row.
    connection.execute("""
        create or replace temp table reopened_rows as
        select events.rowid as row from main.events inner join reopened_ids using (event_id)
    """)
    connection.execute(f"set dynamic_or_filter_threshold = {_MOST_LISTED_ROWS}")
    connection.execute(f"""
        create or replace temp table reopened_now as
        select {columns}, contact_id, version_count from main.events inner join reopened_rows on events.rowid = row
    """)
    connection.execute("reset dynamic_or_filter_threshold")
    connection.execute(f"""
        create or replace table run.reopened_events as
        select {_REOPENED_EVENT}, contact_id from reopened_ids left join reopened_now using (event_id)
    """)
    connection.execute(f"""
        create or replace table run.reopened as
        select {columns} from reopened_now anti join run.changed_exports using ({_EXPORT})
        where version_count = 1
        union all
        select {columns} from (from main.event_history inner join reopened_ids using (event_id))
        anti join run.changed_exports using ({_EXPORT})
    """)
    connection.execute(f"""
        create or replace table run.outdated_cells as
        select {_CELL} from reopened_now
        union
        select {_CELL} from main.event_history semi join reopened_ids using (event_id)
        union
        select {_CELL} from main.rejected_events semi join run.changed_exports using ({_EXPORT})
    """)
    connection.execute(
        "drop table touched; drop table touched_orders; drop table reopened_ids; drop table reopened_rows;"
        " drop table reopened_now"
    )
    return _count(connection, "run.reopened_events")


def _store(connection: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    connection.register("frame", frame.to_arrow())
    connection.execute(f"create or replace table {table} as from frame")
    connection.unregister("frame")


def _exists(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, table],
    ).fetchone()
    return found is not None and bool(found[0])


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.execute(f"select count(*) from {table}").fetchone()
    assert found is not None
    return int(found[0])
