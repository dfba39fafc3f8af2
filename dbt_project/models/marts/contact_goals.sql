{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
) }}

with goals as (
    select events.*
    from {{ ref("events") }} as events
    inner join {{ ref("touched_contacts") }} as touched
        on events.workspace_id = touched.workspace_id and events.contact_id = touched.contact_id
    where events.goal_type is not null and events.deletion <> 'deleted'
),

aggregated as (
    select
        workspace_id,
        contact_id,
        goal_type,
        goal_name,
        currency,
        count(*) as event_count,
        count(distinct coalesce(order_id, event_id)) as order_count,
        sum(value) as value_sum,
        cast({{ exact_average("value") }} as decimal(38, 4)) as value_avg,
        min(value) as value_min,
        max(value) as value_max,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at
    from goals
    group by workspace_id, contact_id, goal_type, goal_name, currency
)

select
    aggregated.*,
    parameters.run_id
from aggregated
cross join {{ source("run", "parameters") }} as parameters
