{{ config(tags=["by_event"]) }}

-- Repeated events as they stand after their last report.
-- Grain: event_id. Columns: those of a report, and version_count.
with sequence as (
    select * from {{ ref("report_sequence") }}
),

states as (
    select * from {{ ref("event_states") }}
    where version_number = version_count
)

select
    {{ report_columns("content", except=[
        "occurred_at", "goal_type", "goal_name", "value", "currency", "deletion", "deleted_at"
    ]) }},
    states.occurred_at,
    states.goal_type,
    states.goal_name,
    states.value,
    states.currency,
    states.deletion,
    states.deleted_at,
    states.version_count
from states
inner join sequence as content
    on states.event_id = content.event_id and states.content_version = content.version_number
