-- A member of a segment is a contact, and is a member once.
with members as (
    select
        workspace_id,
        segment,
        contact_id,
        count(*) as row_count
    from {{ source("segments", "segment_history") }}
    where left_at is null
    group by workspace_id, segment, contact_id
)

select
    members.*,
    contacts.contact_id as living_id
from members
left join {{ ref("contacts") }} as contacts
    on members.workspace_id = contacts.workspace_id and members.contact_id = contacts.contact_id
where members.row_count > 1 or contacts.contact_id is null
