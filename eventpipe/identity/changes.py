"""What changed for who had read the contacts before."""

from __future__ import annotations

_CHANGES = """
    with moved as (
        select distinct workspace_id, before.contact_id as from_contact_id, after.contact_id as into_contact_id
        from {after}.contact_aliases as after join {before}.contact_aliases as before using (workspace_id, alias_id)
        where before.contact_id <> after.contact_id and {solved_since}
    ),
    -- Contacts without events are nobody that a reader has seen.
    seen as (
        select * from moved
        where (workspace_id, from_contact_id) in (select (workspace_id, contact_id) from {before}.contacts)
            and (workspace_id, into_contact_id) in (select (workspace_id, contact_id) from {after}.contacts)
    ),
    judged as (
        select *, count(*) over (partition by workspace_id, from_contact_id) = 1
            and (workspace_id, from_contact_id) not in (select (workspace_id, contact_id) from {after}.contacts)
            as is_whole
        from seen
    )
    select workspace_id, if(is_whole, 'merge', 'split') as change, from_contact_id, into_contact_id
    from judged
    order by workspace_id, from_contact_id, into_contact_id"""


def changes_sql(before: str, after: str, solved_since: str = "true") -> str:
    """The query for (workspace_id, change, from_contact_id, into_contact_id) between two schemas with contact_aliases
    and contacts. `merge`: all of a contact is another one's now; `split`: some of it.

    `solved_since` is a condition on rows of `after.contact_aliases` which is true of all that can have changed.
    """
    return _CHANGES.format(before=before, after=after, solved_since=solved_since)
