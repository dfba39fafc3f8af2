{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
) }}

with members as (
    select
        *,
        unnest(list_distinct(from_json(identifiers, '[["VARCHAR"]]'))) as member
    from {{ ref("contact_sets") }}
),

identifiers as (
    select
        workspace_id,
        contact_id,
        member[1] as identifier_type,
        member[2] as identifier_value,
        min(first_occurred_at) as first_seen_at,
        max(last_occurred_at) as last_seen_at,
        cast(sum(event_count) as bigint) as event_count
    from members
    group by workspace_id, contact_id, identifier_type, identifier_value
)

select
    nodes.workspace_id,
    nodes.contact_id,
    nodes.identifier_type,
    nodes.identifier_value,
    types.is_known,
    identifiers.first_seen_at,
    identifiers.last_seen_at,
    identifiers.event_count,
    parameters.run_id
from {{ source("identity", "identity_nodes") }} as nodes
-- Times and counts are of the contact's own events: a value that links nobody also stands on other people's.
inner join identifiers
    on
        nodes.workspace_id = identifiers.workspace_id
        and nodes.contact_id = identifiers.contact_id
        and nodes.identifier_type = identifiers.identifier_type
        and nodes.identifier_value = identifiers.identifier_value
inner join {{ source("run", "identifier_types") }} as types on nodes.identifier_type = types.identifier_type
cross join {{ source("run", "parameters") }} as parameters
