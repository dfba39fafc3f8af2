-- Promise 1: accepted = current + superseded (+ those after as_of), and the current ones are the table events.
with versions as (
    select count(*) as current_versions
    from {{ ref("event_versions") }}
    where status = 'current'
),

events as (
    select count(*) as events
    from {{ ref("events") }}
)

select
    versions.current_versions,
    events.events
from versions
cross join events
where versions.current_versions <> events.events
