{{ config(schema="work") }}

-- How many contacts have a live event in each cell of the profile that this run computes; no row where nobody has.
-- Grain: workspace_id, source, event_name and day.
with live as (
    select
        events.workspace_id,
        events.source,
        events.event_name,
        {{ utc_day("events.occurred_at") }} as day,
        events.contact_id
    from {{ ref("events") }} as events
    where events.deletion <> 'deleted' and events.contact_id is not null
),

-- Contacts by themselves, so that the distinct ones are counted without comparing rows twice.
distinct_contacts as (
    select distinct live.*
    from live
    inner join {{ ref("touched_cells") }} as touched on {{ same_cell("live", "touched") }}
)

select
    workspace_id,
    source,
    event_name,
    day,
    count(*) as contacts
from distinct_contacts
group by workspace_id, source, event_name, day
