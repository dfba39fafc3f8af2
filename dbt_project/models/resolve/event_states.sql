{{ config(tags=["by_event"]) }}

-- Repeated events as they stood after each of their reports: content of one version, goal of another, deletion by
-- landing order. Grain: event_id and version_number.
with sequence as (
    select
        *,
        coalesce(goal_type, goal_name, cast(value as varchar)) is not null as has_goal
    from {{ ref("report_sequence") }}
),

running as (
    select
        event_id,
        version_number,
        restores_by_omission,
        deleted_after,
        count(*) over event as version_count,
        coalesce(bool_or(is_applied) over until_now, false) as is_known,
        -- Where every report is a deletion, the first one is all that is known of the event.
        coalesce(max(version_number) filter (where is_applied) over until_now, 1) as content_version,
        arg_max(version_number, (occurred_at, -version_number)) filter (
            where carries_content and has_goal and on_conflict = 'latest_wins'
        ) over until_now as goal_version,
        max(occurred_at) over until_now as newest_at,
        bool_or(says_deleted) over until_now as was_deleted,
        last_value(says_deleted ignore nulls) over until_now as last_said_deleted,
        last_value(case when says_deleted then version_number end ignore nulls) over until_now as deleting_version,
        -- Notifuse keeps each goal field until an applied report brings another.
        last_value(case when is_applied then goal_type end ignore nulls) over until_now as kept_goal_type,
        last_value(case when is_applied then goal_name end ignore nulls) over until_now as kept_goal_name,
        last_value(case when is_applied then value end ignore nulls) over until_now as kept_value,
        last_value(case when is_applied and value is not null then currency end ignore nulls) over until_now
            as kept_currency
    from sequence
    window
        event as (partition by event_id),
        until_now as (
            partition by event_id order by version_number rows between unbounded preceding and current row
        )
)

select
    running.event_id,
    running.version_number,
    running.version_count,
    running.content_version,
    running.is_known,
    content.email,
    content.properties,
    case when running.restores_by_omission then running.newest_at else content.occurred_at end as occurred_at,
    case when running.restores_by_omission then running.kept_goal_type else goals.goal_type end as goal_type,
    case when running.restores_by_omission then running.kept_goal_name else goals.goal_name end as goal_name,
    case when running.restores_by_omission then running.kept_value else goals.value end as value,
    case when running.restores_by_omission then running.kept_currency else goals.currency end as currency,
    case
        when running.deleted_after then 'deleted'
        when content.deletion = 'restored' then 'restored'
        when running.restores_by_omission and running.was_deleted then 'restored'
        when not running.restores_by_omission and not running.last_said_deleted then 'restored'
        else 'unchanged'
    end as deletion,
    case when running.deleted_after then deleting.deleted_at end as deleted_at
from running
inner join sequence as content
    on running.event_id = content.event_id and running.content_version = content.version_number
inner join sequence as goals
    on
        running.event_id = goals.event_id
        and coalesce(running.goal_version, running.content_version) = goals.version_number
left join sequence as deleting
    on running.event_id = deleting.event_id and running.deleting_version = deleting.version_number
