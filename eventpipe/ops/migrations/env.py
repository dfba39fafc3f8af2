"""Alembic's environment: migrates inside the transaction that `eventpipe.ops.schema.upgrade` has begun.

The caller's transaction holds the store's write lock, so alembic neither begins nor commits: a migration is
applied whole or not at all, and two processes never migrate at once.
"""

from __future__ import annotations

from alembic import context

from eventpipe.ops.schema import VERSION_TABLE
from eventpipe.ops.tables import metadata

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=attributes["schema"],
)
context.run_migrations()
