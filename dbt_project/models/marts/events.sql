{{ config(
    tags=["by_event"],
    materialized="incremental",
    incremental_strategy="append",
    on_schema_change="fail",
    pre_hook=[
        "{{ replace_touched(source('run', 'reopened_events'), ['event_id']) }}",
        "{{ follow_moved_sets() }}",
        "{{ keep_sides_of_joins() }}",
    ],
    post_hook="{{ choose_sides_of_joins() }}",
) }}

with resolved as (
    select * from {{ ref("resolved_events") }}
),

contacts_of_sets as (
    select
        workspace_id,
        identifiers,
        contact_id
    from {{ source("identity", "identity_sets") }}
)

select
    {{ report_columns("resolved") }},
    contacts_of_sets.contact_id,
    resolved.version_count,
    parameters.run_id
from resolved
cross join {{ source("run", "parameters") }} as parameters
left join contacts_of_sets
    on resolved.workspace_id = contacts_of_sets.workspace_id and resolved.identifiers = contacts_of_sets.identifiers
