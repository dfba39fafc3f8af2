-- The grain of contact_goals.
select
    workspace_id,
    contact_id,
    goal_type,
    goal_name,
    currency,
    count(*) as row_count
from {{ ref("contact_goals") }}
group by workspace_id, contact_id, goal_type, goal_name, currency
having count(*) > 1
