{{ config(schema="work") }}

-- What the live events of touched contacts say under each of their identifier sets.
-- Grain: workspace_id, contact_id and identifiers.
with sets as (
    select
        sets.workspace_id,
        sets.identifiers,
        sets.contact_id
    from {{ source("identity", "identity_sets") }} as sets
    {{ of_touched_contacts("sets", is_update=stored_table("main", "contacts")) }}
    where sets.contact_id is not null
)

select
    sets.workspace_id,
    sets.contact_id,
    sets.identifiers,
    facts.first_occurred_at,
    facts.last_occurred_at,
    facts.event_count,
    facts.last_look_at
from sets
inner join {{ ref("identifier_sets") }} as facts
    on sets.workspace_id = facts.workspace_id and sets.identifiers = facts.identifiers
