{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_solved(['workspace_id', 'from_contact_id'], ['workspace_id', 'alias_id']) }}",
) }}

-- Ties that made one contact of two which both had events before.
with told as (
    select * from {{ source("run", "merges") }}
),

first_events as (
    {{ first_event(source("run", "merges"), "effective_at") }}
)

select
    told.workspace_id,
    told.from_contact_id,
    told.into_contact_id,
    told.contact_id,
    told.effective_at,
    first_events.event_id,
    parameters.run_id
from told
cross join {{ source("run", "parameters") }} as parameters
left join first_events
    on told.workspace_id = first_events.workspace_id and told.identifiers = first_events.identifiers
