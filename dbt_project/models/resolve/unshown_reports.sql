{{ config(materialized="view") }}

-- Reports that the table events does not show, of events that nobody repeated: of an order that another source's report
-- stands for, and those after as_of. Columns: those of a report, version_number, is_winner, status.
with superseded as (
    select event_id from {{ ref("superseded_events") }}
    where event_id not in (select event_id from {{ ref("repeated_events") }})
),

-- Few, so they are looked for by id and time alone before all of their columns are read.
waiting as (
    select distinct reports.event_id
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    where reports.occurred_at > parameters.as_of
),

single as (
    select
        {{ report_columns("reports") }},
        1 as version_number,
        true as is_winner,
        'superseded' as status
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    inner join superseded on reports.event_id = superseded.event_id
    where reports.occurred_at <= parameters.as_of
),

future as (
    select
        {{ report_columns("reports") }},
        null as version_number,
        false as is_winner,
        'future' as status
    from {{ ref("reports") }} as reports
    cross join {{ source("run", "parameters") }} as parameters
    inner join waiting on reports.event_id = waiting.event_id
    where reports.occurred_at > parameters.as_of
)

select * from single
union all
select * from future
