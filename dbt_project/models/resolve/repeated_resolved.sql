-- Repeated events as they stand: content of one version, goal of another, deletion by landing order.
-- Grain: event_id. Columns: those of a report, and version_count.
with sequence as (
    select * from {{ ref("report_sequence") }}
),

states as (
    select * from {{ ref("event_states") }}
),

content as (
    select sequence.*
    from sequence
    inner join states on sequence.event_id = states.event_id and sequence.version_number = states.content_version
),

goals as (
    select
        sequence.event_id,
        sequence.goal_type,
        sequence.goal_name,
        sequence.value,
        sequence.currency
    from sequence
    inner join states on sequence.event_id = states.event_id and sequence.version_number = states.goal_version
)

select
    {{ report_columns("content", except=[
        "occurred_at", "goal_type", "goal_name", "value", "currency", "deletion", "deleted_at"
    ]) }},
    states.newest_at as occurred_at,
    case when states.restores_by_omission then states.kept_goal_type else goals.goal_type end as goal_type,
    case when states.restores_by_omission then states.kept_goal_name else goals.goal_name end as goal_name,
    case when states.restores_by_omission then states.kept_value else goals.value end as value,
    case when states.restores_by_omission then states.kept_currency else goals.currency end as currency,
    case
        when states.is_deleted then 'deleted'
        when states.was_deleted then 'restored'
        else 'unchanged'
    end as deletion,
    case when states.is_deleted then states.deleted_at end as deleted_at,
    states.version_count
from content
inner join states on content.event_id = states.event_id
left join goals on content.event_id = goals.event_id
