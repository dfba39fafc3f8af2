{{ config(
    tags=["by_event"],
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
) }}

with goals as (
    select events.*
    from {{ ref("events") }} as events
    {{ of_touched_contacts("events", is_update=is_incremental()) }}
    where events.contact_id is not null and events.goal_type is not null and events.deletion <> 'deleted'
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
