{{ config(tags=["by_event"], schema="work") }}

-- Contacts whose events or identifiers this run changed, under their old and new ids.
-- Grain: workspace_id and contact_id.
with before as (
    select
        workspace_id,
        contact_id
    from {{ source("run", "reopened_events") }}
),

after as (
    select
        events.workspace_id,
        events.contact_id
    from {{ ref("events") }} as events
    inner join {{ source("run", "parameters") }} as parameters on events.run_id = parameters.run_id
),

moved as (
    select
        workspace_id,
        contact_id
    from {{ source("run", "moved_contacts") }}
),

unioned as (
    select * from before
    union all
    select * from after
    union all
    select * from moved
)

select distinct
    workspace_id,
    contact_id
from unioned
where contact_id is not null
