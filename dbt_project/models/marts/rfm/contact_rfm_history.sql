{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook=["{{ drop_changed_snapshots(ref('changed_order_days')) }}", "{{ keep_sides_of_joins() }}"],
    post_hook="{{ choose_sides_of_joins() }}",
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

measured as (
    {{ measured(ref("order_days"), "snapshots") }}
),

cut_points as (
    {{ cut_points("measured", ["snapshot_on", "workspace_id", "currency"]) }}
),

scored as (
    select
        measured.*,
        {{ scores("measured", "cut_points") }}
    from measured
    inner join cut_points
        on
            measured.snapshot_on = cut_points.snapshot_on
            and measured.workspace_id = cut_points.workspace_id
            and measured.currency = cut_points.currency
),

names as (
    {{ named_scores("scored") }}
)

select
    scored.snapshot_on,
    scored.workspace_id,
    scored.contact_id,
    scored.currency,
    scored.recency_days,
    scored.frequency,
    scored.monetary,
    scored.gross,
    scored.refunds,
    {{ avg_order_value("scored") }} as avg_order_value,
    scored.first_order_at,
    scored.last_order_at,
    names.r_score,
    names.f_score,
    names.m_score,
    names.rfm_score,
    names.rfm_segment,
    {{ btyd("scored", "scored.snapshot_on") }},
    parameters.run_id
from scored
inner join names
    on
        scored.r_score = names.r_score
        and scored.f_score = names.f_score
        and scored.m_score = names.m_score
cross join {{ source("run", "parameters") }} as parameters
