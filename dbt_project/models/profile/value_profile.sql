{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_cells'), ['workspace_id', 'source', 'event_name', 'day']) }}",
) }}

with events as (
    select
        workspace_id,
        source,
        event_name,
        {{ utc_day("occurred_at") }} as day,
        currency,
        value
    from {{ ref("events") }}
    where value is not null and deletion <> 'deleted'
)

select
    events.workspace_id,
    events.source,
    events.event_name,
    events.day,
    events.currency,
    count(*) as events,
    count(*) filter (where events.value < 0) as negative,
    min(events.value) as value_min,
    quantile_cont(events.value, 0.25) as value_p25,
    quantile_cont(events.value, 0.5) as value_p50,
    quantile_cont(events.value, 0.75) as value_p75,
    quantile_cont(events.value, 0.99) as value_p99,
    max(events.value) as value_max,
    parameters.run_id
from events
inner join {{ ref("touched_cells") }} as touched
    on {{ same_cell("events", "touched") }}
cross join {{ source("run", "parameters") }} as parameters
group by events.workspace_id, events.source, events.event_name, events.day, events.currency, parameters.run_id
