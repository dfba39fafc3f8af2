-- A live event of a contact stands on its timeline once, and nothing else stands there as an event.
with events as (
    select
        count(*) as events,
        sum(value) as value
    from {{ ref("events") }}
    where contact_id is not null and deletion <> 'deleted'
),

timeline as (
    select
        count(*) as entries,
        sum(value) as value
    from {{ ref("contact_timeline") }}
    where entry_type = 'event'
)

select
    events.events,
    timeline.entries
from events
cross join timeline
where events.events <> timeline.entries or events.value is distinct from timeline.value
