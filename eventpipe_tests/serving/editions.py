"""Editions made by hand: a few related tables and a view, in the columns that the pipeline gives them, in no time."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import psycopg

from eventpipe.failpoints import VARIABLE
from eventpipe.project.serving import ServingSettings
from eventpipe.project.settings import EngineSettings
from eventpipe.serving.postgres.server import Server
from eventpipe.serving.postgres.upload import Base, Edition, Uploaded, Uploader

AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
NEVER = 1_000_000_000
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__, "eventpipe.serving.postgres.upload"])


@dataclass
class Made:
    """An edition: `events` rows with every third of them on one contact, `extra` statements on top."""

    path: Path
    run_id: str
    epoch: int = 1
    known_runs: set[str] = field(default_factory=set)

    def edition(self) -> Edition:
        return Edition(self.path, self.run_id, self.epoch, AS_OF, self.known_runs | {self.run_id})

    def base(self) -> Base:
        return Base(self.path, self.run_id)

    def count(self, table: str) -> int:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            found = connection.execute(f"select count(*) from main.{table}").fetchone()
        assert found is not None
        return int(found[0])


def make(
    folder: Path, run_id: str, *, events: int = 30, shift: int = 0, extra: Sequence[str] = (), known: Sequence[str] = ()
) -> Made:
    """The events from `shift` on, their contacts, and the ledger; every event that `shift` divides is changed."""
    path = folder / f"{run_id}.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            f"""
            create table events as
            select 'e' || lpad(i::varchar, 9, '0') as event_id, 'c' || (i // 3) as contact_id,
                case i % 5 when 0 then 'order.completed' else 'page.seen' end as event_name,
                timestamptz '2026-01-01' + to_seconds(i) as occurred_at,
                (i * 1.25)::decimal(18, 4) as value,
                json_object('n', i, 'changed', {shift} > 0 and i % {shift or 1} = 0) as properties,
                [['email', 'c' || (i // 3) || '@example.com']]::json::varchar as identifiers,
                case when i % 4 = 0 then ['late', 'it''s "quoted", \\ {{and}} more', null] end as flags,
                case when i % 7 = 0 then '' when i % 7 = 1 then '\\N' when i % 7 = 2 then 'two' || chr(10) || '\\.' end as note,
                '{run_id}' as run_id
            from range({shift}, {shift} + {events}) as t(i);
            create table contacts as
            select contact_id, contact_id || '@example.com' as email, count(*) as event_count,
                json_object('email', 'x', 'plan', 'gold') as traits
            from events group by contact_id;
            create table contact_goals as
            select contact_id, 'purchase' as goal_type, null::varchar as goal_name,
                case when event_count > 1 then 'USD' end as currency, event_count from contacts;
            create table ledger as
            select 'web' as source, date '2026-01-01' as landed_on, 'a.jsonl' as file, count(*) as accepted from events;
            create view volume as select event_name, count(*) as events from main.events group by event_name;
            comment on table events is 'What happened: 100 % of it. Grain: event_id.';
            comment on column events.value is 'In `currency`; :refunds are negative.';
            """
        )
        for statement in extra:
            connection.execute(statement)
    return Made(path, run_id, known_runs=set(known))


def serve(
    url: str,
    made: Made,
    base: Made | None = None,
    *,
    mask: tuple[str, ...] = (),
    lock_timeout: str = "2s",
    staged_from: int = NEVER,
) -> Uploaded:
    """Publishes an edition over the one before it."""
    publishing = uploader(url, mask=mask, lock_timeout=lock_timeout, staged_from=staged_from)
    return publishing.upload(made.edition(), base.base() if base else None, nullcontext)


def target(url: str, *, mask: tuple[str, ...] = (), lock_timeout: str = "2s") -> Server:
    settings = {"url": url, "mask": list(mask), "lock_timeout": lock_timeout}
    found = Server.of(ServingSettings.model_validate_json(json.dumps(settings)))
    assert found is not None
    return found


def uploader(url: str, *, mask: tuple[str, ...] = (), lock_timeout: str = "2s", staged_from: int = NEVER) -> Uploader:
    spill = Path(os.environ.get("TMPDIR", "/tmp")) / f"spill-{os.getpid()}"
    return Uploader(
        target(url, mask=mask, lock_timeout=lock_timeout),
        EngineSettings(memory="500MB", threads=1),
        spill,
        lambda: datetime.now(UTC),
        lambda _: None,
        staged_from,
    )


def start_serving(
    url: str, made: Made, base: Made | None, fail_at: str = "", *, staged_from: int = NEVER
) -> BaseProcess:
    """The same in a process of its own, which can be killed; it is about to begin."""
    about_to_begin = _SERVER.Event()
    process = _SERVER.Process(target=_serve, args=(url, made, base, fail_at, staged_from, about_to_begin))
    process.start()
    assert about_to_begin.wait(60)
    return process


def _serve(url: str, made: Made, base: Made | None, fail_at: str, staged_from: int, about_to_begin: Event) -> None:
    os.environ[VARIABLE] = fail_at
    os.dup2(os.open(f"{made.path}.stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    about_to_begin.set()
    serve(url, made, base, staged_from=staged_from)


Served = dict[str, list[tuple[object, ...]]]


def served(url: str, schema: str = "eventpipe") -> Served:
    """Everything that is served, as one reader's snapshot sees it."""
    with psycopg.connect(url) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = %s and table_name <> 'publication'",
            [schema],
        ).fetchall()
        return {name: _rows(connection, f'select * from {schema}."{name}"') for (name,) in names}


def expected(made: Made) -> Served:
    """The same of the engine's file."""
    with duckdb.connect(str(made.path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'main'"
        ).fetchall()
        found = {}
        for (name,) in names:
            result = connection.execute(f"from main.{name}")
            json_columns = [str(each[1]) == "JSON" or each[0] == "identifiers" for each in result.description or []]
            rows = [
                tuple(json.loads(v) if j and v is not None else v for v, j in zip(row, json_columns, strict=True))
                for row in result.fetchall()
            ]
            found[name] = sorted((tuple(_plain(value) for value in row) for row in rows), key=repr)
        return found


def _rows(connection: psycopg.Connection[tuple[object, ...]], query: str) -> list[tuple[object, ...]]:
    connection.execute("set local timezone = 'UTC'")
    return sorted((tuple(_plain(value) for value in row) for row in connection.execute(query).fetchall()), key=repr)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
