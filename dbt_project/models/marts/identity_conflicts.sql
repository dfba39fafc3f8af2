{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_solved(
        ['workspace_id', 'left_type', 'left_value'], ['workspace_id', 'identifier_type', 'identifier_value']
    ) }}",
) }}

-- Ties that were refused, by a limit or because somebody unlinked what they would have joined.
with conflicts as (
    select * from {{ source("run", "conflicts") }}
),

first_events as (
    {{ first_event(source("run", "conflicts"), "occurred_at") }}
)

select
    conflicts.workspace_id,
    conflicts.left_type,
    conflicts.left_value,
    conflicts.left_contact_id,
    conflicts.right_type,
    conflicts.right_value,
    conflicts.right_contact_id,
    conflicts.rule,
    first_events.event_id,
    conflicts.occurred_at,
    parameters.run_id
from conflicts
cross join {{ source("run", "parameters") }} as parameters
left join first_events
    on conflicts.workspace_id = first_events.workspace_id and conflicts.identifiers = first_events.identifiers
