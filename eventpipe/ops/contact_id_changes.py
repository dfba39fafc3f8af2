"""What changed for readers of contact ids, as observed run by run.

The rename of the published file commits it, the store follows in the transaction around that. A run that is killed in
between has published rows that the store does not know: the next run finds them in the published file and `record`s
them first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select

from eventpipe.ops.tables import contact_id_changes

if TYPE_CHECKING:
    import polars as pl

DESCRIPTION = (
    "What changed for readers of contact ids in each run, as observed. Grain: run_id, workspace_id, from_contact_id and "
    "into_contact_id."
)
COLUMNS = {
    "run_id": "The run that published the change.",
    "workspace_id": "Workspace of both contacts.",
    "change": "merge: all of the contact is another one's now; split: some of it is.",
    "from_contact_id": "The contact that was read before.",
    "into_contact_id": "The contact that has its identifiers now.",
}
"""The columns of the published table, all text, with their descriptions."""


def recorded_runs(connection: Connection) -> set[str]:
    """The runs that the store knows changes of."""
    return set(connection.execute(select(contact_id_changes.c.run_id).distinct()).scalars())


def record(connection: Connection, changes: Sequence[Mapping[str, str]]) -> None:
    """Adds changes, each with all of `COLUMNS`, in the caller's transaction."""
    if changes:
        connection.execute(insert(contact_id_changes), list(changes))


def changes_frame(connection: Connection, more: Sequence[Mapping[str, str]] = ()) -> pl.DataFrame:
    """The published table `contact_id_changes`: all that is recorded, and `more`."""
    import polars as pl  # late: commands that read the store need not pay for it

    found = connection.execute(select(*(contact_id_changes.c[name] for name in COLUMNS))).all()
    rows = sorted([*(tuple(row) for row in found), *(tuple(each[name] for name in COLUMNS) for each in more)])
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
