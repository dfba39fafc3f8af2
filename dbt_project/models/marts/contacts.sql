{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook=[
        "{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
        "{{ keep_sides_of_joins() }}",
    ],
    post_hook="{{ choose_sides_of_joins() }}",
) }}

-- Read again for each purpose: what each needs of it is little, and a copy of all of it is dear.
with events as not materialized (
    select * from {{ ref("events") }}
),

seen as (
    select
        workspace_id,
        contact_id,
        min(first_occurred_at) as first_seen_at,
        max(last_occurred_at) as last_seen_at,
        cast(sum(event_count) as bigint) as event_count,
        max(last_look_at) as last_look_at
    from {{ ref("contact_sets") }}
    group by workspace_id, contact_id
),

-- What was looked at last, by the names that shops give to it. Which events are looks is asked of those of that instant
-- only: in the condition it would be asked of every event.
intents as (
    select
        events.workspace_id,
        events.contact_id,
        arg_max(events.properties, events.event_id)
        filter (
            where
            events.deletion <> 'deleted'
            and events.goal_type is null
            and {{ shows_intent("events.property_types") }}
        ) as properties
    from events
    inner join seen
        on
            events.workspace_id = seen.workspace_id
            and events.contact_id = seen.contact_id
            and events.occurred_at = seen.last_look_at
    group by events.workspace_id, events.contact_id
),

trait_writes as (
    select
        events.workspace_id,
        events.contact_id,
        events.occurred_at,
        events.event_id,
        unnest(map_entries(from_json(events.traits, '"MAP(VARCHAR, JSON)"'))) as entry
    from events
    {{ of_touched_contacts("events", is_update=is_incremental()) }}
    where events.traits is not null and events.contact_id is not null and events.deletion <> 'deleted'
),

-- Per key the last write wins; null takes a key away.
trait_values as (
    select
        workspace_id,
        contact_id,
        entry['key'] as name,
        arg_max_null(entry['value'], (occurred_at, event_id)) as value
    from trait_writes
    group by workspace_id, contact_id, name
),

traits as (
    select
        workspace_id,
        contact_id,
        to_json(map(list(name order by name), list(value order by name))) as traits
    from trait_values
    where value is not null
    group by workspace_id, contact_id
),

-- Who they are: identifiers that they hold, not whatever an event carried (`guest`, another person's address).
held as (
    select
        identifiers.workspace_id,
        identifiers.contact_id,
        bool_or(identifiers.is_known) as is_known,
        arg_max(identifiers.identifier_value, (identifiers.last_seen_at, identifiers.identifier_value))
        filter (where identifiers.identifier_type = 'customer_id') as customer_id,
        arg_max(identifiers.identifier_value, (identifiers.last_seen_at, identifiers.identifier_value))
        filter (where identifiers.identifier_type = 'email') as email,
        arg_max(identifiers.identifier_value, (identifiers.last_seen_at, identifiers.identifier_value))
        filter (where identifiers.identifier_type = 'phone') as phone
    from {{ ref("contact_identifiers") }} as identifiers
    {{ of_touched_contacts("identifiers", is_update=is_incremental()) }}
    group by identifiers.workspace_id, identifiers.contact_id
)

select
    seen.workspace_id,
    seen.contact_id,
    held.customer_id,
    held.email,
    held.phone,
    not coalesce(held.is_known, false) as is_anonymous,
    traits.traits,
    seen.first_seen_at,
    seen.last_seen_at,
    seen.event_count,
    {{ intent("intents.properties") }} as last_intent,
    parameters.run_id
from seen
cross join {{ source("run", "parameters") }} as parameters
left join intents on seen.workspace_id = intents.workspace_id and seen.contact_id = intents.contact_id
left join traits on seen.workspace_id = traits.workspace_id and seen.contact_id = traits.contact_id
left join held on seen.workspace_id = held.workspace_id and seen.contact_id = held.contact_id
