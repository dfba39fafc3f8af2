-- The contacts' event counts and the goals' sums add up to the live events'.
with events as (
    select
        count(*) as events,
        count(*) filter (where goal_type is not null) as goals,
        sum(value) filter (where goal_type is not null) as value
    from {{ ref("events") }}
    where contact_id is not null and deletion <> 'deleted'
),

contacts as (
    select coalesce(sum(event_count), 0) as events
    from {{ ref("contacts") }}
),

goals as (
    select
        coalesce(sum(event_count), 0) as goals,
        sum(value_sum) as value
    from {{ ref("contact_goals") }}
)

select
    events.events,
    contacts.events as counted_events,
    events.goals,
    goals.goals as counted_goals
from events
cross join contacts
cross join goals
where
    events.events <> contacts.events
    or events.goals <> goals.goals
    or events.value is distinct from goals.value
