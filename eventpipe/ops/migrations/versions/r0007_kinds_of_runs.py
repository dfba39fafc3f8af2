"""Runs that take something out: after a prune, after an erasure."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lets a run be of these kinds."""
    _allow("'run', 'backfill', 'prune', 'erase'")


def downgrade() -> None:
    """Runs of the new kinds are recorded as backfills, which nothing follows from either."""
    op.execute(f"update {_runs()} set kind = 'backfill' where kind in ('prune', 'erase')")
    _allow("'run', 'backfill'")


def _allow(kinds: str) -> None:
    with op.batch_alter_table("runs", schema=_schema()) as table:
        table.drop_constraint(op.f("ck_runs_kind"), type_="check")
        table.create_check_constraint(op.f("ck_runs_kind"), f"kind in ({kinds})")


def _schema() -> str | None:
    """That of a server's store: changing a table, unlike making one, does not find it by itself."""
    return op.get_context().version_table_schema


def _runs() -> str:
    schema = _schema()
    return f'"{schema}".runs' if schema else "runs"
