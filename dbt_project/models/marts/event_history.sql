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

superseded as (
    select * from {{ ref("superseded_events") }}
),

states as (
    select
        *,
        json_object('deleted_at', {{ iso("deleted_at") }}) as shown_deletion,
        json_merge_patch(coalesce(properties, '{}'), json_object(
            'email', email, 'goal_type', goal_type, 'goal_name', goal_name, 'value', value, 'currency', currency,
            'occurred_at', {{ iso("occurred_at") }}, 'deleted_at', {{ iso("deleted_at") }}
        )) as shown
    from {{ ref("event_states") }}
),

changes as (
    select
        event_id,
        version_number,
        version_count,
        content_version,
        deleted_before,
        deleted_after,
        -- Of an event that only deletions are known of, nothing changes but that.
        case when lag(is_known) over in_order then lag(shown) over in_order else lag(shown_deletion) over in_order end
            as before,
        case when lag(is_known) over in_order then shown else shown_deletion end as after
    from states
    window in_order as (partition by event_id order by version_number)
),

described as (
    select
        event_id,
        version_number,
        deleted_before,
        deleted_after,
        last_value(content_version) over (
            partition by event_id order by version_number rows between current row and unbounded following
        ) as content_version,
        case when before is not null then {{ json_changes("before", "after") }} end as changes
    from changes
),

repeated as (
    select
        {{ report_columns("sequence") }},
        sequence.version_number,
        sequence.version_number = described.content_version as is_winner,
        case
            when superseded.event_id is null and sequence.version_number = described.content_version then 'current'
            else 'superseded'
        end as status,
        described.changes,
        case
            when described.deleted_after and not described.deleted_before then 'event.deleted'
            when described.deleted_before and not described.deleted_after then 'event.restored'
            when described.changes is not null and not described.deleted_after then 'event.updated'
        end as entry_type
    from sequence
    inner join described
        on sequence.event_id = described.event_id and sequence.version_number = described.version_number
    left join superseded on sequence.event_id = superseded.event_id
),

single as (
    select
        {{ report_columns("reports") }},
        case when reports.occurred_at <= parameters.as_of then 1 end as version_number,
        reports.occurred_at <= parameters.as_of as is_winner,
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
