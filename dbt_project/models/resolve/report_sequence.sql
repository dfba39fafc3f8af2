{{ config(tags=["by_event"]) }}

-- The reports of repeated events in landing order, and what each did.
-- As of the run: later ones wait.
with reports as (
    select * from {{ ref("reports") }}
),

repeated as (
    select * from {{ ref("repeated_events") }}
),

due as (
    select
        reports.*,
        sources.on_conflict,
        coalesce(sources.compat = 'notifuse', false) as restores_by_omission
    from reports
    inner join repeated on reports.event_id = repeated.event_id
    inner join {{ source("run", "sources") }} as sources on reports.source = sources.source
    cross join {{ source("run", "parameters") }} as parameters
    where reports.occurred_at <= parameters.as_of
),

with_state as (
    select
        *,
        -- A deletion says that the event is gone, not what it was; notifuse overwrites the event with it.
        deletion <> 'deleted' or restores_by_omission as carries_content,
        case
            when restores_by_omission then deletion = 'deleted'
            when deletion <> 'unchanged' then deletion = 'deleted'
        end as says_deleted
    from due
),

running as (
    select
        *,
        row_number() over landing as version_number,
        max(occurred_at) filter (where carries_content) over before as newest_before,
        coalesce(last_value(says_deleted ignore nulls) over before, false) as deleted_before,
        coalesce(last_value(says_deleted ignore nulls) over until_now, false) as deleted_after,
        case when restores_by_omission then lag(deleted_at) over landing end as deleted_at_before
    from with_state
    window
        landing as (partition by event_id order by {{ landing_order() }}),
        before as (
            partition by event_id order by {{ landing_order() }} rows between unbounded preceding and 1 preceding
        ),
        until_now as (
            partition by event_id order by {{ landing_order() }} rows between unbounded preceding and current row
        )
)

select
    *,
    carries_content and (
        newest_before is null
        or (on_conflict = 'latest_wins' and occurred_at > newest_before)
        or (restores_by_omission and (
            deleted_after <> deleted_before
            or (deleted_after and deleted_at is distinct from deleted_at_before)
        ))
    ) as is_applied
from running
