{{ config(
    schema="work",
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
) }}

-- What every contact spent on each calendar day. Grain: workspace_id, contact_id, currency and day.
-- depends_on: {{ ref("changed_order_days") }} compares with the days as they were.
select * from {{ ref("touched_order_days") }}
