{{ config(schema="work") }}

-- What the live events of touched contacts say under each of their identifier sets: the one pass over events that
-- contacts and their identifiers are made from. Grain: workspace_id, contact_id and identifiers.
with events as (
    select
        events.workspace_id,
        events.contact_id,
        events.identifiers,
        events.occurred_at,
        events.goal_type,
        events.property_types
    from {{ ref("events") }} as events
    {{ of_touched_contacts("events", is_update=stored_table("main", "contacts")) }}
    where events.contact_id is not null and events.deletion <> 'deleted'
)

select
    workspace_id,
    contact_id,
    identifiers,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at,
    count(*) as event_count,
    -- An order is no look.
    max(occurred_at) filter (where goal_type is null and {{ shows_intent("property_types") }}) as last_look_at
from events
group by workspace_id, contact_id, identifiers
