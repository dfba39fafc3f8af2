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

{% macro measured(days, snapshots) -%}
    {#- A select: of each contact and currency with an order, the columns of RFM that nobody else has a part in, at each row of
        `snapshots` (workspace_id, snapshot_on). Days without a positive value have no order: they count as money only. -#}
    select
        snapshots.snapshot_on,
        days.workspace_id,
        days.contact_id,
        days.currency,
        {{ days_since("max(days.last_order_at)", "any_value(settings.timezone)", "snapshots.snapshot_on") }} as recency_days,
        cast(sum(days.orders) as bigint) as frequency,
        cast(sum(days.gross) + sum(days.refunds) as decimal(38, 4)) as monetary,
        cast(sum(days.gross) as decimal(38, 4)) as gross,
        cast(sum(days.refunds) as decimal(38, 4)) as refunds,
        min(days.first_order_at) as first_order_at,
        max(days.last_order_at) as last_order_at,
        {{ btyd_totals("days") }}
    from {{ days }} as days
    inner join {{ snapshots }} as snapshots
        on snapshots.workspace_id = days.workspace_id and snapshots.snapshot_on >= days.day
    cross join {{ source("run", "rfm_settings") }} as settings
    group by snapshots.snapshot_on, days.workspace_id, days.contact_id, days.currency
    having bool_or(days.is_order_day)
{%- endmacro %}

{% macro avg_order_value(totals) -%}
    cast({{ exact_quotient(totals ~ ".gross", totals ~ ".frequency") }} as decimal(38, 4))
{%- endmacro %}

{% macro days_since(instant, timezone, day) -%}
    {#- Whole days from the calendar day of an instant. -#}
    date_diff('day', {{ local_day(instant, timezone) }}, {{ day }})
{%- endmacro %}

{% macro cut_points(measured, within) -%}
    {#- A select: the cut points of each measure, found or fixed, of those who are compared with each other: who have the
        columns `within` in common. -#}
    select
        {%- for column in within %}
        sorted.{{ column }},
        {%- endfor %}
        coalesce(settings.recency_cuts, {{ quantiles("sorted.recency", "settings.bins") }}) as recency_cuts,
        coalesce(settings.frequency_cuts, {{ quantiles("sorted.frequency", "settings.bins") }}) as frequency_cuts,
        coalesce(settings.monetary_cuts, {{ quantiles("sorted.monetary", "settings.bins") }}) as monetary_cuts
    from (
        select
            {%- for column in within %}
            {{ column }},
            {%- endfor %}
            list_sort(list(recency_days)) as recency,
            list_sort(list(frequency)) as frequency,
            list_sort(list(monetary)) as monetary
        from {{ measured }}
        group by {{ within | join(", ") }}
    ) as sorted
    cross join {{ source("run", "rfm_settings") }} as settings
{%- endmacro %}

{% macro scores(measured, cut_points) -%}
    {#- The three scores of a row beside its cut points. -#}
    {{ reversed_score(measured ~ ".recency_days", cut_points ~ ".recency_cuts") }} as r_score,
    {{ score(measured ~ ".frequency", cut_points ~ ".frequency_cuts") }} as f_score,
    {{ score("cast(" ~ measured ~ ".monetary as double)", cut_points ~ ".monetary_cuts") }} as m_score
{%- endmacro %}

{% macro named_scores(scored) -%}
    {#- A select: each combination of scores that occurs as rfm_score and rfm_segment, the first range that it lies in. -#}
    select
        scored.r_score,
        scored.f_score,
        scored.m_score,
        concat(scored.r_score, scored.f_score, scored.m_score) as rfm_score,
        coalesce(arg_min(ranges.name, ranges.position), 'Others') as rfm_segment
    from (select distinct r_score, f_score, m_score from {{ scored }}) as scored
    left join {{ source("run", "rfm_segments") }} as ranges
        on
            scored.r_score between ranges.r_from and ranges.r_to
            and scored.f_score between ranges.f_from and ranges.f_to
            and scored.m_score between ranges.m_from and ranges.m_to
    group by scored.r_score, scored.f_score, scored.m_score
{%- endmacro %}

{% macro let_days_pass(rfm) -%}
    {#- Post-hook of contact_rfm: rows that were written on another day grow as old as they are now. -#}
    {%- set recency = days_since(
        "stored.last_order_at", "settings.timezone", local_day("parameters.as_of", "settings.timezone")
    ) -%}
    update {{ rfm }} as stored
    set
        recency_days = {{ recency }},
        btyd_age_days = stored.btyd_age_days + {{ recency }} - stored.recency_days,
        run_id = parameters.run_id
    from {{ source("run", "rfm_settings") }} as settings, {{ source("run", "parameters") }} as parameters
    where stored.recency_days <> {{ recency }}
{%- endmacro %}

{% macro score_everybody(rfm, touched) -%}
    {#- Post-hook of contact_rfm: scores are places among all others of the workspace, so each contact that a run has touched can
        move all of them. Days pass for everybody alike: they move nobody past a cut point, unless it is fixed. Written are
        the scores that are not what they were. -#}
    update {{ rfm }} as stored
    set
        r_score = changed.r_score,
        f_score = changed.f_score,
        m_score = changed.m_score,
        rfm_score = changed.rfm_score,
        rfm_segment = changed.rfm_segment,
        run_id = parameters.run_id
    from (
        with workspaces as (
            select workspace_id from {{ touched }}
            union
            select rfm.workspace_id
            from {{ rfm }} as rfm
            cross join {{ source("run", "rfm_settings") }} as settings
            where settings.recency_cuts is not null
        ),

        measured as (
            select
                rfm.rowid as place,
                rfm.workspace_id,
                rfm.currency,
                rfm.recency_days,
                rfm.frequency,
                rfm.monetary,
                (rfm.r_score, rfm.f_score, rfm.m_score) as stored_scores
            from {{ rfm }} as rfm
            inner join workspaces on rfm.workspace_id = workspaces.workspace_id
        ),

        cut_points as (
            {{ cut_points("measured", ["workspace_id", "currency"]) }}
        ),

        scored as (
            select
                measured.place,
                measured.stored_scores,
                {{ scores("measured", "cut_points") }}
            from measured
            inner join cut_points
                on measured.workspace_id = cut_points.workspace_id and measured.currency = cut_points.currency
        ),

        changed as (
            select * from scored
            where (r_score, f_score, m_score) is distinct from stored_scores
        ),

        names as (
            {{ named_scores("changed") }}
        )

        select
            changed.place,
            names.*
        from changed
        inner join names
            on
                changed.r_score = names.r_score
                and changed.f_score = names.f_score
                and changed.m_score = names.m_score
    ) as changed, {{ source("run", "parameters") }} as parameters
    where stored.rowid = changed.place
{%- endmacro %}
