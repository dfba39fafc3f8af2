"""Alembic migrations of the ops store; `eventpipe.ops.schema` runs them, no alembic.ini is needed."""
