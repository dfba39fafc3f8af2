{{ config(tags=["by_event"], schema="work") }}

-- How many contacts have a live event in each cell of the profile that this run computes; no row where nobody has.
-- Grain: workspace_id, source, event_name and day.
-- Cells go by a number here: each event is counted under its own, and four columns are compared more slowly than one.
with touched as (
    select
        *,
        row_number() over (order by workspace_id, source, event_name, day) as cell
    from {{ ref("touched_cells") }}
),

live as (
    select
        events.workspace_id,
        events.source,
        events.event_name,
        {{ utc_day("events.occurred_at") }} as day,
        events.contact_id
    from {{ ref("events") }} as events
    where events.deletion <> 'deleted' and events.contact_id is not null
),

counted as (
    select
        touched.cell,
        count(distinct live.contact_id) as contacts
    from live
    inner join touched on {{ same_cell("live", "touched") }}
    group by touched.cell
)

select
    touched.workspace_id,
    touched.source,
    touched.event_name,
    touched.day,
    counted.contacts
from counted
inner join touched on counted.cell = touched.cell
