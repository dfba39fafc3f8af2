{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_cells'), ['workspace_id', 'source', 'event_name', 'day']) }}",
) }}

with touched as (
    select * from {{ ref("touched_cells") }}
),

accepted as (
    select
        workspace_id,
        source,
        event_name,
        day,
        cast(sum(reports) as bigint) as accepted,
        cast(sum(reports) filter (where status = 'superseded') as bigint) as duplicates,
        cast(sum(after_the_day) as bigint) as after_the_day,
        cast(sum(late) as bigint) as late,
        cast(sum(coercions) as bigint) as coercions,
        cast(sum(violating) as bigint) as violating
    from {{ ref("event_shapes") }}
    group by workspace_id, source, event_name, day
),

rejected as (
    select
        rejected.workspace_id,
        rejected.source,
        coalesce(rejected.event_name, '') as event_name,
        {{ rejected_day("rejected") }} as day,
        count(*) as rejected
    from {{ ref("rejected_events") }} as rejected
    group by all
),

contacts as (
    select * from {{ ref("cell_contacts") }}
),

counted as (
    select
        touched.*,
        coalesce(accepted.accepted, 0) as accepted,
        coalesce(rejected.rejected, 0) as rejected,
        coalesce(accepted.duplicates, 0) as duplicates,
        coalesce(accepted.after_the_day, 0) as after_the_day,
        coalesce(accepted.late, 0) as late,
        coalesce(accepted.coercions, 0) as coercions,
        coalesce(accepted.violating, 0) as violating,
        coalesce(contacts.contacts, 0) as contacts
    from touched
    left join accepted on {{ same_cell("touched", "accepted") }}
    left join rejected on {{ same_cell("touched", "rejected") }}
    left join contacts on {{ same_cell("touched", "contacts") }}
)

select
    counted.*,
    counted.accepted + counted.rejected as lines,
    round(counted.rejected / (counted.accepted + counted.rejected), 6) as reject_rate,
    round(counted.duplicates / nullif(counted.accepted, 0), 6) as duplicate_rate,
    round(counted.late / nullif(counted.accepted, 0), 6) as late_rate,
    round(counted.violating / nullif(counted.accepted, 0), 6) as violation_rate,
    parameters.run_id
from counted
cross join {{ source("run", "parameters") }} as parameters
where counted.accepted + counted.rejected > 0
