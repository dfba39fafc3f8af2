{{ config(schema="work") }}

-- What touched contacts spent on each calendar day of the project's timezone.
-- Grain: workspace_id, contact_id, currency and day.
with orders as (
    select
        events.workspace_id,
        events.contact_id,
        events.currency,
        {{ local_day("events.occurred_at", "settings.timezone") }} as day,
        coalesce(events.order_id, events.event_id) as order_key,
        events.occurred_at,
        events.value
    from {{ ref("events") }} as events
    cross join {{ source("run", "rfm_settings") }} as settings
    {{ of_touched_contacts("events", is_update=stored_table("work", "order_days")) }}
    where
        events.contact_id is not null
        and list_contains(settings.goal_types, events.goal_type)
        and events.deletion <> 'deleted'
        and events.value is not null
),

-- An order of several parts counts once, on the first day that has a part of it.
first_parts as (
    select
        workspace_id,
        contact_id,
        currency,
        order_key,
        min(day) as day
    from orders
    where value > 0
    group by workspace_id, contact_id, currency, order_key
),

counted as (
    select
        workspace_id,
        contact_id,
        currency,
        day,
        count(*) as orders
    from first_parts
    group by workspace_id, contact_id, currency, day
),

money as (
    select
        workspace_id,
        contact_id,
        currency,
        day,
        cast(coalesce(sum(value) filter (where value > 0), 0) as decimal(38, 4)) as gross,
        cast(coalesce(sum(value) filter (where value < 0), 0) as decimal(38, 4)) as refunds,
        coalesce(bool_or(value > 0), false) as is_order_day,
        min(occurred_at) filter (where value > 0) as first_order_at,
        max(occurred_at) filter (where value > 0) as last_order_at
    from orders
    group by workspace_id, contact_id, currency, day
)

select
    money.*,
    coalesce(counted.orders, 0) as orders
from money
left join counted
    on
        money.workspace_id = counted.workspace_id
        and money.contact_id = counted.contact_id
        and money.currency = counted.currency
        and money.day = counted.day
