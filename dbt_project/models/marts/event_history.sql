{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(source('run', 'reopened_events'), ['event_id']) }}",
) }}

-- Reports that the table events does not show as they were sent: all of repeated events, those of superseded events,
-- and those that lie after as_of.
with sequence as (
    select * from {{ ref("report_sequence") }}
),

states as (
    select * from {{ ref("event_states") }}
),

superseded as (
    select * from {{ ref("superseded_events") }}
),

applied as (
    select
        event_id,
        version_number,
        lag(json_object(
            'email', email, 'goal_name', goal_name, 'goal_type', goal_type, 'value', value,
            'occurred_at', {{ iso("occurred_at") }}
        )) over in_order as old_fields,
        lag(coalesce(properties, '{}')) over in_order as old_properties,
        json_object(
            'email', email, 'goal_name', coalesce(goal_name, lag(goal_name ignore nulls) over in_order),
            'goal_type', coalesce(goal_type, lag(goal_type ignore nulls) over in_order),
            'value', coalesce(value, lag(value ignore nulls) over in_order),
            'occurred_at', {{ iso("occurred_at") }}
        ) as new_fields,
        coalesce(properties, '{}') as new_properties
    from sequence
    where is_applied
    window in_order as (partition by event_id order by version_number)
),

changes as (
    select
        event_id,
        version_number,
        json_merge_patch(
            coalesce({{ json_changes("old_fields", "new_fields") }}, '{}'),
            coalesce({{ json_changes("old_properties", "new_properties") }}, '{}')
        ) as changes
    from applied
    where old_fields is not null
),

repeated as (
    select
        {{ report_columns("sequence") }},
        sequence.version_number,
        sequence.version_number = states.content_version as is_winner,
        case
            when superseded.event_id is null and sequence.version_number = states.content_version then 'current'
            else 'superseded'
        end as status,
        changes.changes,
        case
            when sequence.says_deleted and not sequence.deleted_before then 'event.deleted'
            when sequence.deleted_before and not sequence.deleted_after then 'event.restored'
            when changes.changes is not null and not sequence.deleted_after then 'event.updated'
        end as entry_type
    from sequence
    inner join states on sequence.event_id = states.event_id
    left join superseded on sequence.event_id = superseded.event_id
    left join changes
        on sequence.event_id = changes.event_id and sequence.version_number = changes.version_number
),

single as (
    select
        {{ report_columns("reports") }},
        1 as version_number,
        true as is_winner,
        case when reports.occurred_at > parameters.as_of then 'future' else 'superseded' end as status,
        null as changes,
        null as entry_type
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    left join superseded on reports.event_id = superseded.event_id
    where
        reports.occurred_at > parameters.as_of
        or (
            superseded.event_id is not null
            and reports.event_id not in (select event_id from {{ ref("repeated_events") }})
        )
)

select
    unioned.*,
    parameters.run_id
from (
    select * from repeated
    union all
    select * from single
) as unioned
cross join {{ source("run", "parameters") }} as parameters
