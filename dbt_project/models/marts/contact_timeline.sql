{{ config(materialized="view") }}

-- What happened to whom, shown from where it is kept: nothing on a timeline is written twice.
-- Named without the database: the published copy of it has another name. The table events is named where it is read,
-- not once at the top: the engine would copy all of it for every reader of one contact's timeline.
with live as (
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
        version_count as version_number,
        run_id
    from {{ ref("events").include(database=false) }}
    where contact_id is not null and deletion <> 'deleted'
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
        history.version_number,
        history.run_id
    from {{ ref("event_history").include(database=false) }} as history
    inner join {{ ref("events").include(database=false) }} as events on history.event_id = events.event_id
    where events.contact_id is not null and history.entry_type is not null
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
        version_count as version_number,
        run_id
    from {{ ref("events").include(database=false) }}
    where contact_id is not null and deletion = 'deleted' and version_count = 1
),

-- Told to whoever has both now; the event is the one whose identifiers showed that they are one.
merged as (
    select
        workspace_id,
        contact_id,
        effective_at as occurred_at,
        'contact.merged' as entry_type,
        null as event_name,
        event_id,
        null as source,
        null as goal_type,
        null as goal_name,
        null as value,
        null as currency,
        null as properties,
        null as extra,
        json_object('contact_id', json_object('old', from_contact_id, 'new', into_contact_id)) as changes,
        null as version_number,
        run_id
    from {{ ref("contact_merges").include(database=false) }}
),

memberships as (
    select
        workspace_id,
        contact_id,
        {{ timeline_of_observed("entered_at", "segment.entered", "json_object('segment', segment)", "run_entered") }}
    from {{ source("segments", "segment_history").include(database=false) }}
    union all
    select
        workspace_id,
        contact_id,
        {{ timeline_of_observed("left_at", "segment.left", "json_object('segment', segment)", "run_left") }}
    from {{ source("segments", "segment_history").include(database=false) }}
    where left_at is not null
),

triggers as (
    select
        workspace_id,
        contact_id,
        {{ timeline_of_observed(
            "fired_at",
            "automation.triggered",
            "json_object('automation', automation, 'trigger_id', trigger_id)",
            "run_id",
        ) }}
    from {{ source("automations", "automation_triggers").include(database=false) }}
)

select * from live
union all
select * from edits
union all
select * from deleted_at_first
union all
select * from merged
union all
select * from memberships
union all
select * from triggers
