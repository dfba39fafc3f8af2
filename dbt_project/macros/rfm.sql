{% macro quantiles(sorted, bins) -%}
    {#- Cut points between so many bins of a sorted list: linear interpolation, R type 7. Places are whole numbers, so
        that a cut point that is a value of the list is exactly that. -#}
    list_transform(
        range(1, {{ bins }}),
        lambda k: cast({{ sorted }}[(len({{ sorted }}) - 1) * k // {{ bins }} + 1] as double)
        + cast(
            {{ sorted }}[least((len({{ sorted }}) - 1) * k // {{ bins }} + 2, len({{ sorted }}))]
            - {{ sorted }}[(len({{ sorted }}) - 1) * k // {{ bins }} + 1] as double
        ) * ((len({{ sorted }}) - 1) * k % {{ bins }}) / {{ bins }}
    )
{%- endmacro %}

{% macro score(value, cut_points) -%}
    {#- 1 + the number of cut points below the value: equal values get equal scores. -#}
    cast(1 + len(list_filter({{ cut_points }}, lambda point: point < {{ value }})) as integer)
{%- endmacro %}

{% macro reversed_score(value, cut_points) -%}
    {#- The same from the other end, for measures of which less is better. -#}
    cast(1 + len(list_filter({{ cut_points }}, lambda point: point >= {{ value }})) as integer)
{%- endmacro %}

{% macro period_end(day, period) -%}
    {#- The last day of the period that a day lies in. -#}
    case {{ period }}
        when 'day' then {{ day }}
        when 'week' then cast(date_trunc('week', {{ day }}) + interval 6 day as date)
        when 'month' then last_day({{ day }})
        when 'quarter' then cast(date_trunc('quarter', {{ day }}) + interval 3 month - interval 1 day as date)
        when 'year' then cast(date_trunc('year', {{ day }}) + interval 1 year - interval 1 day as date)
    end
{%- endmacro %}

{% macro btyd_totals(days) -%}
    {#- Of a contact's days with an order, what `btyd` takes. Aggregates pass over what is null: that costs less than a
        filter on each. -#}
    {%- set order_day = "if(" ~ days ~ ".is_order_day, " ~ days ~ ".day, null)" -%}
    min({{ order_day }}) as first_day,
    max({{ order_day }}) as last_day,
    count({{ order_day }}) - 1 as btyd_frequency,
    sum({{ days }}.gross) - arg_min({{ days }}.gross, {{ order_day }}) as repeat_value
{%- endmacro %}

{% macro btyd(totals, today) -%}
    {#- The columns that models of customer lifetime value take, as the package lifetimes makes them of daily periods. -#}
    {{ totals }}.btyd_frequency,
    date_diff('day', {{ totals }}.first_day, {{ totals }}.last_day) as btyd_recency_days,
    date_diff('day', {{ totals }}.first_day, {{ today }}) as btyd_age_days,
    case
        when {{ totals }}.btyd_frequency = 0 then 0.0
        else cast({{ totals }}.repeat_value as double) / {{ totals }}.btyd_frequency
    end as btyd_monetary
{%- endmacro %}

{% macro rfm_at(snapshots) -%}
    {#- CTEs that end in `rfm`: every contact with an order, scored at each row of `snapshots` (workspace_id, snapshot_on)
        against those of its own workspace and currency. Days without a positive value have no order: they count as
        money only. -#}
settings as (
    select * from {{ source("run", "rfm_settings") }}
),

totals as (
    select
        snapshots.snapshot_on,
        days.workspace_id,
        days.contact_id,
        days.currency,
        date_diff('day', max(if(days.is_order_day, days.day, null)), snapshots.snapshot_on) as recency_days,
        cast(sum(days.orders) as bigint) as frequency,
        cast(sum(days.gross) + sum(days.refunds) as decimal(38, 4)) as monetary,
        cast(sum(days.gross) as decimal(38, 4)) as gross,
        cast(sum(days.refunds) as decimal(38, 4)) as refunds,
        min(days.first_order_at) as first_order_at,
        max(days.last_order_at) as last_order_at,
        {{ btyd_totals("days") }}
    from {{ snapshots }} as snapshots
    inner join {{ ref("order_days") }} as days
        on snapshots.workspace_id = days.workspace_id and snapshots.snapshot_on >= days.day
    group by snapshots.snapshot_on, days.workspace_id, days.contact_id, days.currency
    having bool_or(days.is_order_day)
),

sorted as (
    select
        snapshot_on,
        workspace_id,
        currency,
        list_sort(list(recency_days)) as recency,
        list_sort(list(frequency)) as frequency,
        list_sort(list(monetary)) as monetary
    from totals
    group by snapshot_on, workspace_id, currency
),

cut_points as (
    select
        sorted.snapshot_on,
        sorted.workspace_id,
        sorted.currency,
        coalesce(settings.recency_cuts, {{ quantiles("sorted.recency", "settings.bins") }}) as recency_cuts,
        coalesce(settings.frequency_cuts, {{ quantiles("sorted.frequency", "settings.bins") }}) as frequency_cuts,
        coalesce(settings.monetary_cuts, {{ quantiles("sorted.monetary", "settings.bins") }}) as monetary_cuts
    from sorted
    cross join settings
),

scored as (
    select
        totals.*,
        {{ reversed_score("totals.recency_days", "cut_points.recency_cuts") }} as r_score,
        {{ score("totals.frequency", "cut_points.frequency_cuts") }} as f_score,
        {{ score("cast(totals.monetary as double)", "cut_points.monetary_cuts") }} as m_score
    from totals
    inner join cut_points
        on
            totals.snapshot_on = cut_points.snapshot_on
            and totals.workspace_id = cut_points.workspace_id
            and totals.currency = cut_points.currency
),

-- The name of each combination of scores that occurs: the first range that it lies in.
names as (
    select
        scored.r_score,
        scored.f_score,
        scored.m_score,
        arg_min(ranges.name, ranges.position) as name
    from (select distinct r_score, f_score, m_score from scored) as scored
    inner join {{ source("run", "rfm_segments") }} as ranges
        on
            scored.r_score between ranges.r_from and ranges.r_to
            and scored.f_score between ranges.f_from and ranges.f_to
            and scored.m_score between ranges.m_from and ranges.m_to
    group by scored.r_score, scored.f_score, scored.m_score
),

rfm as (
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
        cast({{ exact_quotient("scored.gross", "scored.frequency") }} as decimal(38, 4)) as avg_order_value,
        scored.first_order_at,
        scored.last_order_at,
        scored.r_score,
        scored.f_score,
        scored.m_score,
        concat(scored.r_score, scored.f_score, scored.m_score) as rfm_score,
        coalesce(names.name, 'Others') as rfm_segment,
        {{ btyd("scored", "scored.snapshot_on") }}
    from scored
    left join names
        on
            scored.r_score = names.r_score
            and scored.f_score = names.f_score
            and scored.m_score = names.m_score
)
{%- endmacro %}
