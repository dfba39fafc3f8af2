-- Repeated events: which version holds the content, which the goal, and whether the event is deleted.
-- Grain: event_id with at least one report that is due.
with sequence as (
    select
        *,
        coalesce(goal_type, goal_name, cast(value as varchar)) is not null as has_goal
    from {{ ref("report_sequence") }}
)

select
    event_id,
    count(*) as version_count,
    -- Where every report is a deletion, the first one is all that is known of the event.
    coalesce(max(version_number) filter (where is_applied), 1) as content_version,
    arg_max(version_number, (occurred_at, -version_number)) filter (where carries_content and has_goal) as goal_version,
    coalesce(max(occurred_at) filter (where carries_content), min(occurred_at)) as newest_at,
    arg_max(deleted_after, version_number) as is_deleted,
    coalesce(bool_or(says_deleted), false) as was_deleted,
    arg_max(deleted_at, version_number) filter (where says_deleted) as deleted_at,
    bool_or(restores_by_omission) as restores_by_omission,
    -- Notifuse keeps each goal field until an applied report brings another.
    arg_max(goal_type, version_number) filter (where is_applied and goal_type is not null) as kept_goal_type,
    arg_max(goal_name, version_number) filter (where is_applied and goal_name is not null) as kept_goal_name,
    arg_max(value, version_number) filter (where is_applied and value is not null) as kept_value,
    arg_max(currency, version_number) filter (where is_applied and value is not null) as kept_currency
from sequence
group by event_id
