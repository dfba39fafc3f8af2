"""What the configuration as edited would change, before it runs: everything is solved anew beside the published tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from eventpipe.engine import limits
from eventpipe.identity.changes import changes_sql
from eventpipe.identity.resolve import resolve
from eventpipe.identity.rules import Rules
from eventpipe.project.folder import Project
from eventpipe.sql import literal


@dataclass(frozen=True)
class Change:
    """`merge`: all of a contact would be another one's. `split`: some of it. `change`: it would hold other identifiers
    under its own id, or, where `into_contact_id` is None, be no contact any more. `customer_id` and `email` are those
    of the contact as published.
    """

    change: str
    workspace_id: str
    from_contact_id: str
    into_contact_id: str | None
    customer_id: str | None
    email: str | None


@dataclass(frozen=True)
class Planned:
    """How many contacts there are and would be, how many changes of each kind, and the first of the changes."""

    contacts_before: int
    contacts_after: int
    counts: dict[str, int]
    changes: tuple[Change, ...]


def plan(project: Project, limit: int) -> Planned:
    """Solves all published events by the project's rules of now; `limit` is how many changes are listed. Writes nothing
    that stays.
    """
    with _scratch(project) as connection:
        connection.execute("""
            create table work.touched_sets as
            select workspace_id, identifiers, min(occurred_at) as first_occurred_at
            from published.main.events
            where identifiers is not null and deletion <> 'deleted'
            group by workspace_id, identifiers""")
        resolve(connection, Rules.of(project), project.settings.engine.memory)
        connection.execute("""
            create view planned.contact_aliases as
            select workspace_id, alias_id, contact_id from work.identity_nodes
            union all
            select workspace_id, alias_id, contact_id from work.identity_sets where alias_id is not null;
            create view planned.contacts as select distinct workspace_id, contact_id from work.identity_sets""")
        connection.execute(f"""
            create table planned.changes as
            with moved as ({changes_sql("published.main", "planned")}),
            regrouped as (
                select workspace_id, contact_id from published.main.contact_aliases as before
                full join planned.contact_aliases as after using (workspace_id, alias_id, contact_id)
                where before.alias_id is null or after.alias_id is null
            ),
            changed as (
                select distinct workspace_id, contact_id from regrouped
                semi join published.main.contacts using (workspace_id, contact_id)
            ),
            kept as (
                select 'change' as change, workspace_id, contact_id as from_contact_id,
                    if((workspace_id, contact_id) in (select (workspace_id, contact_id) from planned.contacts), contact_id, null)
                    as into_contact_id
                from changed
                where (workspace_id, contact_id) not in (select (workspace_id, from_contact_id) from moved)
                    and (workspace_id, contact_id) not in (select (workspace_id, into_contact_id) from moved)
            )
            select change, workspace_id, from_contact_id, into_contact_id from moved
            union all by name select * from kept""")
        counts = dict(connection.execute("select change, count(*) from planned.changes group by change").fetchall())
        listed = connection.execute(
            """
            select p.change, p.workspace_id, p.from_contact_id, p.into_contact_id, contacts.customer_id, contacts.email
            from planned.changes as p left join published.main.contacts as contacts
                on p.workspace_id = contacts.workspace_id and p.from_contact_id = contacts.contact_id
            order by p.change, p.workspace_id, p.from_contact_id, p.into_contact_id limit $1
            """,
            [limit],
        ).fetchall()
        sizes = connection.execute(
            "select (select count(*) from published.main.contacts), (select count(*) from planned.contacts)"
        ).fetchone()
        assert sizes is not None
        return Planned(int(sizes[0]), int(sizes[1]), counts, tuple(Change(*row) for row in listed))


@contextmanager
def _scratch(project: Project) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that goes away, with the published file beside it."""
    project.state.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix="identity-plan-", dir=project.state) as folder,
        duckdb.connect(
            str(Path(folder) / "plan.duckdb"), config=limits(project.settings.engine, Path(folder) / "spill")
        ) as connection,
    ):
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        connection.execute(f"attach {literal(str(project.analytics))} as published (read_only)")
        connection.execute("create schema work; create schema run; create schema planned")
        yield connection
