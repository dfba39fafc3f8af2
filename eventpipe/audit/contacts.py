"""What may be wrong with who is who: orders on two contacts, merges, contacts out of proportion.

No row is listed: identifiers and orders are somebody's. The table order_conflicts has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import duckdb

from eventpipe.audit.findings import Finding, Kind
from eventpipe.project.audit_rules import IdentityRules

ORDERS: Final = "orders_have_one_contact"
MERGES: Final = "few_contacts_merge"
LARGEST: Final = "contacts_are_in_proportion"
# So few are a large share of a small shop, and no news.
_FEW_MERGES: Final = 10
CHECKS: Final = {ORDERS: "order_conflicts", MERGES: "contacts", LARGEST: "contacts"}


def contacts(connection: duckdb.DuckDBPyConnection, rules: IdentityRules) -> Iterator[Finding]:
    """Three findings, warnings all."""
    orders, events = _row(
        connection,
        "select count(distinct (workspace_id, order_id)), coalesce(sum(event_count), 0)::bigint from main.order_conflicts",
    )
    yield _finding(
        ORDERS,
        "orders",
        orders == 0,
        {"orders": orders, "events": events},
        "Orders are on more than one contact: the table order_conflicts lists them. Both sides are kept.",
    )
    merged, total = _row(
        connection,
        "select (select count(distinct moved.old_contact_id) from run.moved_sets as moved anti join main.contacts as still"
        " on moved.workspace_id = still.workspace_id and moved.old_contact_id = still.contact_id"
        " where moved.old_contact_id is not null), (select count(*) from main.contacts)",
    )
    share = round(merged / total, 4) if total else 0.0
    yield _finding(
        MERGES,
        "identity",
        merged <= rules.merges and not (merged > _FEW_MERGES and share > rules.merged_share),
        {"merged": merged, "share": share, "most": rules.merges, "most_share": rules.merged_share},
        "One run merged more contacts than usual: an identifier that many people share may have begun to tie them. "
        "Block it (identity.blocked), or raise the limit in expectations.yml.",
    )
    largest, identifiers = _row(
        connection,
        "select (select coalesce(max(event_count), 0) from main.contacts), (select coalesce(max(held), 0) from"
        " (select count(*) as held from main.contact_identifiers group by workspace_id, contact_id))",
    )
    yield _finding(
        LARGEST,
        "identity",
        largest <= rules.largest_contact,
        {"events": largest, "identifiers": identifiers, "most_events": rules.largest_contact},
        "One contact has more events than a person makes: a bot, a test account, or an identifier that people share.",
    )


def _finding(check: str, kind: Kind, passed: bool, observed: dict[str, Any], message: str) -> Finding:
    return Finding(
        check=check,
        kind=kind,
        asset=CHECKS[check],
        subject=CHECKS[check],
        severity="warn",
        status="passed" if passed else "failed",
        observed=observed,
        message=None if passed else message,
    )


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, int]:
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])
