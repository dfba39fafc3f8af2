-- The grain of contact_rfm.
select
    workspace_id,
    contact_id,
    currency,
    count(*) as row_count
from {{ ref("contact_rfm") }}
group by workspace_id, contact_id, currency
having count(*) > 1
