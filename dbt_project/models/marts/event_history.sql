{{ config(
    tags=["by_event"],
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
    select * from {{ ref("event_states") }}
),

changes as (
    select * from {{ ref("event_changes") }}
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
            when sequence.deleted_after and not sequence.deleted_before then 'event.deleted'
            when sequence.deleted_before and not sequence.deleted_after then 'event.restored'
            when changes.changes is not null and not sequence.deleted_after then 'event.updated'
        end as entry_type
    from sequence
    inner join states on sequence.event_id = states.event_id and states.version_number = states.version_count
    left join superseded on sequence.event_id = superseded.event_id
    left join changes on sequence.event_id = changes.event_id and sequence.version_number = changes.version_number
)

select
    unioned.*,
    parameters.run_id
from (
    select * from repeated
    union all
    select
        *,
        null as changes,
        null as entry_type
    from {{ ref("unshown_reports") }}
) as unioned
cross join {{ source("run", "parameters") }} as parameters
