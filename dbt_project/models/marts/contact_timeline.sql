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
),

live as (
    select
        workspace_id,
        contact_id,
        occurred_at,
        'event' as entry_type,
        event_name,
        event_id,
        source,
        goal_type,
        goal_name,
        value,
        currency,
        properties,
        extra,
        null as changes,
        version_count as version_number
    from events
    where deletion <> 'deleted'
),

edits as (
    select
        events.workspace_id,
        events.contact_id,
        case
            when history.entry_type = 'event.deleted' then coalesce(history.deleted_at, history.occurred_at)
            else history.occurred_at
        end as occurred_at,
        history.entry_type,
        events.event_name,
        events.event_id,
        events.source,
        events.goal_type,
        events.goal_name,
        history.value,
        history.currency,
        history.properties,
        history.extra,
        history.changes,
        history.version_number
    from {{ ref("event_history") }} as history
    inner join events on history.event_id = events.event_id
    where history.entry_type is not null
),

-- What was deleted when it was first heard of has no other version to show it.
deleted_at_first as (
    select
        workspace_id,
        contact_id,
        coalesce(deleted_at, occurred_at) as occurred_at,
        'event.deleted' as entry_type,
        event_name,
        event_id,
        source,
        goal_type,
        goal_name,
        value,
        currency,
        properties,
        extra,
        null as changes,
        version_count as version_number
    from events
    where deletion = 'deleted' and version_count = 1
),

unioned as (
    select * from live
    union all
    select * from edits
    union all
    select * from deleted_at_first
)

select
    unioned.*,
    parameters.run_id
from unioned
cross join {{ source("run", "parameters") }} as parameters
