{{ config(materialized="view") }}

-- What this run resolves: accepted lines that are new, and stored reports of the events that they touch.
with new_rows as (
    select {{ report_columns() }}
    from {{ source("run", "new_rows") }}
    where status = 'accepted'
),

reopened as (
    select {{ report_columns() }}
    from {{ source("run", "reopened") }}
)

select * from new_rows
union all
select * from reopened
