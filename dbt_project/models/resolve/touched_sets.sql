{% set stored = stored_events() %}

-- Identifier sets that this run touches, as the events now have them (spec 2).
-- Grain: workspace_id and identifiers. first_occurred_at is null when no live event carries the set any more.
with resolved as (
    select
        workspace_id,
        identifiers,
        occurred_at,
        deletion
    from {{ ref("resolved_events") }}
    where identifiers is not null
),

before as (
    select distinct
        workspace_id,
        identifiers
    from {{ source("run", "reopened_events") }}
    where identifiers is not null
),

after as (
    select
        workspace_id,
        identifiers,
        min(occurred_at) filter (where deletion <> 'deleted') as first_occurred_at
    from resolved
    group by workspace_id, identifiers
),

touched as (
    select
        workspace_id,
        identifiers
    from before
    union distinct
    select
        workspace_id,
        identifiers
    from after
),

unchanged as (
    {% if stored %}
        select
            stored.workspace_id,
            stored.identifiers,
            min(stored.occurred_at) as first_occurred_at
        from {{ stored }} as stored
        inner join touched
            on stored.workspace_id = touched.workspace_id and stored.identifiers = touched.identifiers
        where
            stored.deletion <> 'deleted'
            and stored.event_id not in (select event_id from {{ source("run", "reopened_events") }})
        group by stored.workspace_id, stored.identifiers
    {% else %}
        select
            workspace_id,
            identifiers,
            first_occurred_at
        from after
        where false
    {% endif %}
)

select
    touched.workspace_id,
    touched.identifiers,
    least(after.first_occurred_at, unchanged.first_occurred_at) as first_occurred_at
from touched
left join after
    on touched.workspace_id = after.workspace_id and touched.identifiers = after.identifiers
left join unchanged
    on touched.workspace_id = unchanged.workspace_id and touched.identifiers = unchanged.identifiers
