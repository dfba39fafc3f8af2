{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
) }}

with events as (
    select events.*
    from {{ ref("events") }} as events
    inner join {{ ref("touched_contacts") }} as touched
        on events.workspace_id = touched.workspace_id and events.contact_id = touched.contact_id
    where events.deletion <> 'deleted'
),

seen as (
    select
        workspace_id,
        contact_id,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        count(*) as event_count,
        arg_max(customer_id, (occurred_at, event_id)) filter (where customer_id is not null) as customer_id,
        arg_max(email, (occurred_at, event_id)) filter (where email is not null) as email,
        arg_max(phone, (occurred_at, event_id)) filter (where phone is not null) as phone
    from events
    group by workspace_id, contact_id
),

-- What was looked at last, by the names that shops give to it.
intents as (
    select
        workspace_id,
        contact_id,
        arg_max(coalesce(
            json_extract_string(properties, '$.category'),
            json_extract_string(properties, '$.product_id'),
            json_extract_string(properties, '$.sku')
        ), (occurred_at, event_id)) as last_intent
    from events
    where {{ shows_intent("event_name", "properties") }}
    group by workspace_id, contact_id
),

traits as (
    select
        workspace_id,
        contact_id,
        {{ last_write_wins("traits", "(occurred_at, event_id)") }} as traits
    from events
    where traits is not null
    group by workspace_id, contact_id
),

known as (
    select distinct
        workspace_id,
        contact_id
    from {{ ref("contact_identifiers") }}
    where is_known
)

select
    seen.workspace_id,
    seen.contact_id,
    seen.customer_id,
    seen.email,
    seen.phone,
    known.contact_id is null as is_anonymous,
    traits.traits,
    seen.first_seen_at,
    seen.last_seen_at,
    seen.event_count,
    intents.last_intent,
    parameters.run_id
from seen
cross join {{ source("run", "parameters") }} as parameters
left join intents on seen.workspace_id = intents.workspace_id and seen.contact_id = intents.contact_id
left join traits on seen.workspace_id = traits.workspace_id and seen.contact_id = traits.contact_id
left join known on seen.workspace_id = known.workspace_id and seen.contact_id = known.contact_id
