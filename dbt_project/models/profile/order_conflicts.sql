-- One order id on several contacts: every event of it is kept, and the audit warns.
with shown as (
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

-- With dedupe_on one report stands for the others of its order, which are no events. Whose it is, they say too.
stood_for as (
    select
        workspace_id,
        source,
        event_name,
        order_id,
        occurred_at,
        event_id,
        unnest(from_json(identifiers, '[["VARCHAR"]]')) as member
    from {{ ref("event_history") }}
    where
        status = 'superseded'
        and is_winner
        and order_id is not null
        and identifiers is not null
        and deletion <> 'deleted'
),

-- Like an event, such a report is of who holds its strongest identifier; nobody else sent one, so that may be nobody.
reported as (
    select
        stood_for.workspace_id,
        any_value(stood_for.source) as source,
        any_value(stood_for.event_name) as event_name,
        any_value(stood_for.order_id) as order_id,
        arg_min(nodes.contact_id, types.strength) as contact_id,
        any_value(stood_for.occurred_at) as occurred_at
    from stood_for
    inner join {{ source("identity", "identity_nodes") }} as nodes
        on
            stood_for.workspace_id = nodes.workspace_id
            and stood_for.member[1] = nodes.identifier_type
            and stood_for.member[2] = nodes.identifier_value
    inner join {{ source("run", "identifier_types") }} as types on nodes.identifier_type = types.identifier_type
    group by stood_for.workspace_id, stood_for.event_id
),

orders as (
    select * from shown
    union all
    select * from reported
    where contact_id is not null
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
