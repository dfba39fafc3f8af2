-- A member of a segment is a contact, and nobody is a member twice at one time.
with episodes as (
    select
        workspace_id,
        segment,
        contact_id,
        left_at,
        entered_at < lag(coalesce(left_at, 'infinity')) over (
            partition by workspace_id, segment, contact_id
            order by entered_at, left_at
        ) as is_doubled
    from {{ source("segments", "segment_history") }}
)

select
    episodes.*,
    contacts.contact_id as living_id
from episodes
left join {{ ref("contacts") }} as contacts
    on episodes.workspace_id = contacts.workspace_id and episodes.contact_id = contacts.contact_id
where episodes.is_doubled or (contacts.contact_id is null and episodes.left_at is null)
