{{ config(tags=["by_event"]) }}

-- Events that another report of the same order stands before. Grain: event_id.
with single as (
    select
        reports.event_id,
        reports.workspace_id,
        reports.event_name,
        reports.order_key,
        reports.source,
        {{ landing_order("reports") }}
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    where
        reports.order_key is not null
        and reports.deletion <> 'deleted'
        and reports.occurred_at <= parameters.as_of
        and reports.event_id not in (select event_id from {{ ref("repeated_events") }})
),

first_landed as (
    select * from {{ ref("report_sequence") }}
    where version_number = 1
),

repeated as (
    select
        resolved.event_id,
        resolved.workspace_id,
        resolved.event_name,
        resolved.order_key,
        resolved.source,
        {{ landing_order("first_landed") }}
    from {{ ref("repeated_resolved") }} as resolved
    inner join first_landed on resolved.event_id = first_landed.event_id
    where resolved.order_key is not null and resolved.deletion <> 'deleted'
),

candidates as (
    select * from single
    union all
    select * from repeated
),

ranked as (
    select
        candidates.event_id,
        row_number() over (
            partition by candidates.workspace_id, candidates.event_name, candidates.order_key
            order by sources.authority desc, {{ landing_order("candidates") }}, candidates.source
        ) as place
    from candidates
    inner join {{ source("run", "sources") }} as sources on candidates.source = sources.source
)

select event_id
from ranked
where place > 1
