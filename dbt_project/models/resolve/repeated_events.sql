{{ config(tags=["by_event"]) }}

-- Events with more than one report that is due. The rest, nearly all, need no comparison and are never sorted.
with reports as (
    select reports.event_id
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    where reports.occurred_at <= parameters.as_of
)

select
    event_id,
    count(*) as report_count
from reports
group by event_id
having count(*) > 1
