-- No contact holds more identifiers of a type than the type's limit: never two customer ids.
with held as (
    select
        workspace_id,
        contact_id,
        identifier_type,
        count(*) as identifiers
    from {{ ref("contact_identifiers") }}
    group by workspace_id, contact_id, identifier_type
)

select
    held.*,
    types.most
from held
inner join {{ source("run", "identifier_types") }} as types on held.identifier_type = types.identifier_type
where held.identifiers > types.most
