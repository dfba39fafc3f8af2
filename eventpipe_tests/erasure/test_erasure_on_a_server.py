"""An erased person is in no table of the server that serves and remembers, and in no file of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from eventpipe.errors import StageFailed
from eventpipe.ops import erasures
from eventpipe.ops.store import OpsStore
from eventpipe_tests.erasure.story import CANARIES, asked, erased, found, who
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.postgres import Postgres

SCHEMAS = ("eventpipe", "eventpipe_ops")


def named_in_rows(url: str, *more: str) -> dict[str, list[str]]:
    """Which tables of the server have rows that name her."""
    hits = {}
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema = any(%s) and table_type = 'BASE TABLE'",
            [list(SCHEMAS)],
        ).fetchall()
        for schema, table in tables:
            text = str(connection.execute(f'select t::text from {schema}."{table}" as t').fetchall())
            if named := [canary for canary in (*CANARIES, *more) if canary in text]:
                hits[f"{schema}.{table}"] = named
    return hits


def named_in_files(server: Postgres, url: str, *more: str) -> dict[str, list[str]]:
    """Which tables of ours have files that name her, of a server whose files we may read."""
    if server.cluster is None:
        return {}
    hits = {}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")  # pages are written, and files of tables that were rewritten are removed
        files = connection.execute(
            "select n.nspname || '.' || c.relname, pg_relation_filepath(c.oid) from pg_class as c"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " where n.nspname = any(%s) and pg_relation_filepath(c.oid) is not null",
            [[*SCHEMAS, "pg_toast"]],
        ).fetchall()
    for relation, path in files:
        content = (server.cluster.folder / path).read_bytes()
        if named := [canary for canary in (*CANARIES, *more) if canary.encode() in content]:
            hits[relation] = named
    return hits


@contextmanager
def reading_contacts(url: str) -> Iterator[None]:
    """Somebody whose transaction holds the table."""
    with psycopg.connect(url) as connection:
        connection.execute("select count(*) from eventpipe.contacts")
        yield


@pytest.fixture
def made(database: str, tmp_path: Path) -> Shop:
    return asked(tmp_path / "shop", serving={"url": database, "lock_timeout": "1s"}, paths={"ops": database})


def test_nothing_of_her_is_left_there_either(made: Shop, server: Postgres, database: str) -> None:
    person = who(made)
    before = named_in_rows(database, *person.contact_ids)
    assert {"eventpipe.events", "eventpipe.rejected_events", "eventpipe_ops.automation_triggers"} <= before.keys()
    assert server.cluster is None or "eventpipe.events" in named_in_files(server, database)
    with reading_contacts(database), pytest.raises(StageFailed, match="erase --resume"):
        erased(made, person)
    assert named_in_rows(database, *person.contact_ids) == {}, "the tables are rid of her, their files are not yet"
    with OpsStore.open(made.project.ops) as store, store.read() as connection:
        [waiting] = erasures.listed(connection, unfinished=True)
    assert waiting.people == ()
    [done] = erased(made)
    assert done.ended_at is not None
    assert named_in_rows(database, *person.contact_ids) == {}
    assert named_in_files(server, database, *person.contact_ids) == {}
    assert found(made, *person.contact_ids) == {}
