"""The version of the ops store's tables: recognised without alembic, brought up to date with it.

Importing alembic costs several tenths of a second, so it happens only when there is something to migrate; a
store that is up to date is recognised by its version row alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text, update

from eventpipe.ops.engines import encoding_refusal, schema_of
from eventpipe.ops.faults import RESTORE, OpsStoreError
from eventpipe.ops.tables import metadata, run_lease

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0008"
VERSION_TABLE = "ops_schema_version"

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
_MOVED = "moved"  # no version: neither this eventpipe nor an older one opens it
_MIGRATION_LOCK = 0x65706F7073  # any fixed number that no other program is likely to lock: "epops"


def is_current(connection: Connection, place: str) -> bool:
    """True when the tables are those of this version of eventpipe, False when they are missing or older.

    Raises OpsStoreError when the database holds something else, has lost tables, or went elsewhere.
    """
    present = set(inspect(connection).get_table_names(schema=schema_of(connection.engine)))
    if VERSION_TABLE not in present:
        if present and connection.dialect.name == "sqlite":
            raise OpsStoreError(
                f"{place} is a SQLite database, but no ops store: it holds {', '.join(sorted(present)[:3])}. "
                "Correct the location of the ops store (`ops` in eventpipe.yml or EVENTPIPE_OPS)."
            )
        return False
    version = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    if version == _MOVED:
        went: str = connection.execute(select(run_lease.c.host).limit(1)).scalar_one()
        raise OpsStoreError(
            f"The ops store {place} is not in use any more: it moved to {went}. Set EVENTPIPE_OPS (or paths.ops in eventpipe.yml) "
            "to that address. Nothing was done."
        )
    if version != HEAD:
        return False
    lost = sorted(metadata.tables.keys() - present)
    if lost:
        raise OpsStoreError(f"The ops store {place} is damaged: table {', '.join(lost)} is missing. {RESTORE}")
    return True


def close(connection: Connection) -> None:
    """Has whoever opens the store from now on told where it went, which `Lease.hand_over` wrote down."""
    connection.execute(update(_version).values(version_num=_MOVED))


def upgrade(connection: Connection, place: str) -> None:
    """Brings the tables up to date inside the caller's writing transaction; nothing to do is fine.

    Raises OpsStoreError when a newer eventpipe wrote the store: its tables are left alone.
    """
    schema = schema_of(connection.engine)
    if schema is not None:
        if refusal := encoding_refusal(connection, place):
            raise OpsStoreError(refusal)
        # Locked until the transaction ends; SQLite's transaction holds the write lock already.
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if not inspect(connection).has_schema(schema):
            connection.execute(text(f"create schema {schema}"))
    if is_current(connection, place):  # another process was faster
        return

    from alembic import command  # late: see the module's docstring

    config = _config()
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    _refuse_unknown(connection, config, place)
    command.upgrade(config, "head")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "eventpipe.ops:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _refuse_unknown(connection: Connection, config: Config, place: str) -> None:
    from alembic.script import ScriptDirectory

    if not inspect(connection).has_table(VERSION_TABLE, schema=schema_of(connection.engine)):
        return
    found = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise OpsStoreError(
            f"The ops store {place} was written by a newer eventpipe: it has schema version {found}, this "
            f"one knows only up to {HEAD}. Install that eventpipe or a later one; nothing was changed."
        )
