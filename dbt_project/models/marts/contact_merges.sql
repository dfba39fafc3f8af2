{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_solved(['workspace_id', 'from_contact_id'], ['workspace_id', 'alias_id']) }}",
) }}

-- Ties that made one contact of two which both had events before (spec 2).
with merges as (
    select * from {{ source("run", "merges") }}
),

first_events as (
    {{ first_event(source("run", "merges"), "effective_at") }}
)

select
    merges.workspace_id,
    merges.from_contact_id,
    merges.into_contact_id,
    merges.contact_id,
    merges.effective_at,
    first_events.event_id,
    parameters.run_id
from merges
cross join {{ source("run", "parameters") }} as parameters
left join first_events
    on merges.workspace_id = first_events.workspace_id and merges.identifiers = first_events.identifiers
