{{ config(schema="work") }}

-- depends_on: {{ ref("touched_contacts") }}
{% set stored = stored_table("work", "order_days") %}

-- The first day on which this run changes what somebody spent: snapshots from there on are taken anew.
-- Grain: workspace_id.
with new_days as (
    select * from {{ ref("touched_order_days") }}
),

{% if stored %}
    old_days as (
        select stored.*
        from {{ stored }} as stored
        inner join {{ ref("touched_contacts") }} as touched
            on stored.workspace_id = touched.workspace_id and stored.contact_id = touched.contact_id
    ),

    changed as (
        (select * from new_days except select * from old_days)
        union all
        (select * from old_days except select * from new_days)
    )
{% else %}
    changed as (
        select * from new_days
    )
{% endif %}

select
    workspace_id,
    min(day) as day
from changed
group by workspace_id
