-- Days are UTC days of occurred_at; a rejected line without a readable time counts on its landing date.
with versions as (
    select
        workspace_id,
        event_name,
        source,
        cast(occurred_at at time zone 'UTC' as date) as day,
        count(*) as accepted,
        count(*) filter (where status = 'superseded') as duplicates,
        count(*) filter (where landed_on > cast(occurred_at at time zone 'UTC' as date) + 1) as late
    from {{ ref("event_versions") }}
    where status <> 'future'
    group by workspace_id, event_name, source, day
),

rejected as (
    select
        workspace_id,
        event_name,
        source,
        coalesce(cast(occurred_at at time zone 'UTC' as date), landed_on) as day,
        count(*) as rejected
    from {{ ref("rejected_events") }}
    group by workspace_id, event_name, source, day
)

select
    coalesce(versions.workspace_id, rejected.workspace_id) as workspace_id,
    coalesce(versions.event_name, rejected.event_name) as event_name,
    coalesce(versions.source, rejected.source) as source,
    coalesce(versions.day, rejected.day) as day,
    coalesce(versions.accepted, 0) as accepted,
    coalesce(rejected.rejected, 0) as rejected,
    coalesce(versions.duplicates, 0) as duplicates,
    coalesce(versions.late, 0) as late
from versions
full join rejected
    on
        versions.workspace_id = rejected.workspace_id
        and versions.event_name is not distinct from rejected.event_name
        and versions.source = rejected.source
        and versions.day = rejected.day
