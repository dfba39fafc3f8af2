-- What a contact is worth in contact_rfm is the net sum of its goals of the types that count as orders.
with goals as (
    select
        goals.workspace_id,
        goals.contact_id,
        goals.currency,
        sum(goals.value_sum) as value_sum
    from {{ ref("contact_goals") }} as goals
    cross join {{ source("run", "rfm_settings") }} as settings
    where list_contains(settings.goal_types, goals.goal_type)
    group by goals.workspace_id, goals.contact_id, goals.currency
)

select
    rfm.contact_id,
    rfm.currency,
    rfm.monetary,
    rfm.gross + rfm.refunds as gross_and_refunds,
    goals.value_sum
from {{ ref("contact_rfm") }} as rfm
left join goals
    on
        rfm.workspace_id = goals.workspace_id
        and rfm.contact_id = goals.contact_id
        and rfm.currency = goals.currency
where
    rfm.monetary is distinct from goals.value_sum
    or rfm.monetary <> rfm.gross + rfm.refunds
