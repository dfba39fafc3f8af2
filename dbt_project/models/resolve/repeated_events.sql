-- Events with more than one report. The rest, nearly all, need no comparison and are never sorted.
with reports as (
    select event_id from {{ ref("reports") }}
)

select
    event_id,
    count(*) as report_count
from reports
group by event_id
having count(*) > 1
