{{ config(
    tags=["by_event"],
    schema="work",
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_cells'), ['workspace_id', 'source', 'event_name', 'day']) }}",
) }}

-- Accepted reports counted by all that the profile and the catalogue tell of them: the one pass over the reports.
-- Grain: workspace_id, source, event_name, day, raw_event_name, status, definition_version, property_types and flags.
with versions as (
    select
        workspace_id,
        source,
        event_name,
        {{ utc_day("occurred_at") }} as day,
        raw_event_name,
        status,
        definition_version,
        property_types,
        flags,
        landed_on,
        occurred_at,
        coercions,
        violations
    from {{ ref("event_versions") }}
    where status <> 'future'
)

select
    versions.workspace_id,
    versions.source,
    versions.event_name,
    versions.day,
    versions.raw_event_name,
    versions.status,
    versions.definition_version,
    versions.property_types,
    versions.flags,
    count(*) as reports,
    count(*) filter (where versions.landed_on > versions.day) as after_the_day,
    count(*) filter (where versions.landed_on > versions.day + 1) as late,
    cast(sum(versions.coercions) as bigint) as coercions,
    count(versions.violations) as violating,
    min(versions.occurred_at) as first_seen_at,
    max(versions.occurred_at) as last_seen_at
from versions
inner join {{ ref("touched_cells") }} as touched
    on {{ same_cell("versions", "touched") }}
group by all
