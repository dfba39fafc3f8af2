{{ config(tags=["by_event"]) }}

{% set stored = stored_table("work", "identifier_sets") %}

-- depends_on: {{ source("run", "reopened_events") }}
-- Identifier sets that this run touches, and what the live events say under each as they now are: their number
-- and the times of the first, the last and the last look. Grain: workspace_id and identifiers.
-- The times are null when no live event carries the set any more.
with resolved as (
    select
        workspace_id,
        identifiers,
        occurred_at,
        goal_type,
        property_types,
        deletion
    from {{ ref("resolved_events") }}
    where identifiers is not null
),

resolved_now as (
    select
        resolved.workspace_id,
        resolved.identifiers,
        {{ facts_of_set("resolved") }}
    from resolved
    group by resolved.workspace_id, resolved.identifiers
)

{% if stored %},

    reopened as (
        select distinct
            workspace_id,
            identifiers
        from {{ source("run", "reopened_events") }}
        where identifiers is not null
    ),

    -- What is taken out of a set cannot be told from what was counted of it: its other events are counted again.
    counted_again as (
        select
            events.workspace_id,
            events.identifiers,
            {{ facts_of_set("events") }}
        from {{ stored_events() }} as events
        inner join reopened
            on events.workspace_id = reopened.workspace_id and events.identifiers = reopened.identifiers
        where events.event_id not in (select event_id from {{ source("run", "reopened_events") }})
        group by events.workspace_id, events.identifiers
    ),

    as_stored as (
        select stored.*
        from {{ stored }} as stored
        inner join resolved_now
            on stored.workspace_id = resolved_now.workspace_id and stored.identifiers = resolved_now.identifiers
        left join reopened
            on stored.workspace_id = reopened.workspace_id and stored.identifiers = reopened.identifiers
        where reopened.identifiers is null
    ),

    together as (
        select * from resolved_now
        union all
        select * from counted_again
        union all
        select * from as_stored
        union all
        select reopened.*, null, null, 0, null from reopened
    )

    select
        workspace_id,
        identifiers,
        min(first_occurred_at) as first_occurred_at,
        max(last_occurred_at) as last_occurred_at,
        cast(sum(event_count) as bigint) as event_count,
        max(last_look_at) as last_look_at
    from together
    group by workspace_id, identifiers
{% else %}
    select * from resolved_now
{% endif %}
