-- The grain of event_profile.
select
    workspace_id,
    source,
    event_name,
    day,
    count(*) as row_count
from {{ ref("event_profile") }}
group by workspace_id, source, event_name, day
having count(*) > 1
