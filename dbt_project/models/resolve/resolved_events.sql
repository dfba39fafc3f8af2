{{ config(materialized="view") }}

-- The events that this run adds or replaces, in their current version. Grain: event_id.
-- Columns: those of a report, and version_count.
with single as (
    select
        {{ report_columns("reports") }},
        1 as version_count
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    where
        reports.occurred_at <= parameters.as_of
        and reports.event_id not in (select event_id from {{ ref("repeated_events") }})
        and reports.event_id not in (select event_id from {{ ref("superseded_events") }})
),

repeated as (
    select
        {{ report_columns("resolved") }},
        resolved.version_count
    from {{ ref("repeated_resolved") }} as resolved
    where resolved.event_id not in (select event_id from {{ ref("superseded_events") }})
)

select * from single
union all
select * from repeated
