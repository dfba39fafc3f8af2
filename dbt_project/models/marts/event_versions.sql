{{ config(materialized="view") }}

-- Events with one report are that report; all others keep every report in the history.
-- Named without the database: the published copy of it has another name.
with single as (
    select
        {{ report_columns() }},
        1 as version_number,
        'current' as status,
        run_id
    from {{ ref("events").include(database=false) }}
    where version_count = 1
),

history as (
    select
        {{ report_columns() }},
        version_number,
        status,
        run_id
    from {{ ref("event_history").include(database=false) }}
)

select * from single
union all
select * from history
