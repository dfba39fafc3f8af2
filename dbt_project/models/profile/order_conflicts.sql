{{ config(tags=["by_event"]) }}

-- One order id on several contacts (spec 1, section 6): every event of it is kept, and the audit warns.
with orders as (
    select
        workspace_id,
        source,
        event_name,
        order_id,
        contact_id,
        occurred_at
    from {{ ref("events") }}
    where order_id is not null and contact_id is not null and deletion <> 'deleted'
),

-- Nearly every order has one contact: only the others are worth their details.
conflicts as (
    select
        workspace_id,
        order_id
    from orders
    group by workspace_id, order_id
    having min(contact_id) <> max(contact_id)
)

select
    orders.workspace_id,
    orders.order_id,
    orders.contact_id,
    list_sort(list(distinct orders.source)) as sources,
    list_sort(list(distinct orders.event_name)) as event_names,
    count(*) as event_count,
    min(orders.occurred_at) as first_at,
    max(orders.occurred_at) as last_at,
    count(*) over (partition by orders.workspace_id, orders.order_id) as contacts
from orders
inner join conflicts
    on orders.workspace_id = conflicts.workspace_id and orders.order_id = conflicts.order_id
group by orders.workspace_id, orders.order_id, orders.contact_id
