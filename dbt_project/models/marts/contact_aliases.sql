{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(source('run', 'gone_aliases'), ['workspace_id', 'alias_id']) }}",
) }}

-- A contact id is a function of one identifier, or of one set where nobody is known by any identifier of it: so every
-- id that ever was a contact's is here, with the contact that has it now.
with identifiers as (
    select
        workspace_id,
        alias_id,
        contact_id,
        component
    from {{ source("identity", "identity_nodes") }}
),

sets as (
    select
        workspace_id,
        alias_id,
        contact_id,
        component
    from {{ source("identity", "identity_sets") }}
    where alias_id is not null
),

unioned as (
    select * from identifiers
    union all
    select * from sets
)

select
    unioned.workspace_id,
    unioned.alias_id,
    unioned.contact_id,
    parameters.run_id
from unioned
cross join {{ source("run", "parameters") }} as parameters
{% if is_incremental() %}
    -- Most of what was solved anew came out as it was, and is still there.
    where
        unioned.component in (select component from {{ source("run", "solved_components") }})
        and (unioned.workspace_id, unioned.alias_id) not in (select (workspace_id, alias_id) from {{ this }})
{% endif %}
