-- An identifier belongs to one contact.
select
    workspace_id,
    identifier_type,
    identifier_value,
    count(*) as holders
from {{ ref("contact_identifiers") }}
group by workspace_id, identifier_type, identifier_value
having count(*) > 1
