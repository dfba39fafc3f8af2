{{ config(schema="work") }}

{% set stored = stored_table("main", "event_profile") %}

-- depends_on: {{ source("run", "reopened_events") }}
-- depends_on: {{ source("run", "moved_sets") }}
-- depends_on: {{ source("run", "parameters") }}
-- How many contacts have a live event in each cell of the profile that this run computes; no row where nobody has.
-- Grain: workspace_id, source, event_name and day.
-- Read again for each purpose: a copy of all of them is dearer.
with live as not materialized (
    select
        events.workspace_id,
        events.source,
        events.event_name,
        {{ utc_day("events.occurred_at") }} as day,
        events.contact_id,
        events.identifiers,
        events.run_id
    from {{ ref("events") }} as events
    where events.deletion <> 'deleted' and events.contact_id is not null
),

{% if stored %}
    moved as (
        select
            live.*,
            moved_sets.old_contact_id
        from live
        inner join {{ source("run", "moved_sets") }} as moved_sets
            on live.workspace_id = moved_sets.workspace_id and live.identifiers = moved_sets.identifiers
        cross join {{ source("run", "parameters") }} as parameters
        where live.run_id <> parameters.run_id
    ),

    -- Live events that came to a contact in a cell (1) or went from one (-1): added, taken out, moved with their set.
    changes as (
        select
            live.workspace_id,
            live.source,
            live.event_name,
            live.day,
            live.contact_id,
            1 as change
        from live
        inner join {{ source("run", "parameters") }} as parameters on live.run_id = parameters.run_id
        union all
        select
            workspace_id,
            source,
            event_name,
            {{ utc_day("occurred_at") }},
            contact_id,
            -1
        from {{ source("run", "reopened_events") }}
        where deletion <> 'deleted'
        union all
        select
            workspace_id,
            source,
            event_name,
            day,
            unnest([contact_id, old_contact_id]),
            unnest([1, -1])
        from moved
    ),

    changed as (
        select
            workspace_id,
            source,
            event_name,
            day,
            contact_id,
            sum(change) as change
        from changes
        where contact_id is not null
        group by workspace_id, source, event_name, day, contact_id
    ),

    standing as (
        select
            changed.workspace_id,
            changed.source,
            changed.event_name,
            changed.day,
            changed.contact_id,
            count(*) as event_count
        from live
        inner join changed on live.contact_id = changed.contact_id and {{ same_cell("live", "changed") }}
        group by changed.workspace_id, changed.source, changed.event_name, changed.day, changed.contact_id
    ),

    counted as (
        select
            workspace_id,
            source,
            event_name,
            day,
            contacts
        from {{ stored }}
        union all
        select
            changed.workspace_id,
            changed.source,
            changed.event_name,
            changed.day,
            (coalesce(standing.event_count, 0) > 0)::bigint
            - (coalesce(standing.event_count, 0) - changed.change > 0)::bigint
        from changed
        left join standing
            on changed.contact_id = standing.contact_id and {{ same_cell("changed", "standing") }}
    )

    select
        workspace_id,
        source,
        event_name,
        day,
        cast(sum(contacts) as bigint) as contacts
    from counted
    group by workspace_id, source, event_name, day
{% else %}
    -- Contacts by themselves, so that the distinct ones are counted without comparing rows twice.
    distinct_contacts as (
        select distinct
            workspace_id,
            source,
            event_name,
            day,
            contact_id
        from live
    )

    select
        workspace_id,
        source,
        event_name,
        day,
        count(*) as contacts
    from distinct_contacts
    group by workspace_id, source, event_name, day
{% endif %}
