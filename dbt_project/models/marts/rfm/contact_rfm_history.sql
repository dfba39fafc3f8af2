{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ drop_changed_snapshots(ref('changed_order_days')) }}",
) }}

-- contact_rfm as it stands at the end of each period that as_of has passed, from the events as they are known now:
-- what lands late is in the snapshots of its time too.
with spans as (
    select
        days.workspace_id,
        min(days.day) as first_day,
        {{ local_day("any_value(parameters.as_of)", "any_value(settings.timezone)") }} as today,
        any_value(settings.history) as history
    from {{ ref("order_days") }} as days
    cross join {{ source("run", "rfm_settings") }} as settings
    cross join {{ source("run", "parameters") }} as parameters
    group by days.workspace_id
),

days as (
    select
        workspace_id,
        today,
        history,
        unnest(generate_series(first_day, today, interval 1 day)) as day
    from spans
),

taken as (
    {% if is_incremental() %}
        select
            workspace_id,
            max(snapshot_on) as last_on
        from {{ this }}
        group by workspace_id
    {% else %}
        select
            workspace_id,
            cast(null as date) as last_on
        from spans
    {% endif %}
),

snapshots as (
    select distinct
        days.workspace_id,
        {{ period_end("cast(days.day as date)", "days.history") }} as snapshot_on
    from days
    left join taken on days.workspace_id = taken.workspace_id
    where
        {{ period_end("cast(days.day as date)", "days.history") }} < days.today
        and (
            taken.last_on is null
            or {{ period_end("cast(days.day as date)", "days.history") }} > taken.last_on
        )
),

{{ rfm_at("snapshots") }}

select
    rfm.*,
    parameters.run_id
from rfm
cross join {{ source("run", "parameters") }} as parameters
