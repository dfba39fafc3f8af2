{% macro in_utc(instant) -%}
    {#- An instant as a timestamp of UTC. What `at time zone 'UTC'` gives, which asks a calendar for each row and costs ten
        times as much. -#}
    make_timestamp(epoch_us({{ instant }}))
{%- endmacro %}

{% macro utc_day(instant) -%}
    {#- The UTC day of an instant. -#}
    cast({{ in_utc(instant) }} as date)
{%- endmacro %}

{% macro local_day(instant, timezone) -%}
    {#- The calendar day that a timezone has at an instant. -#}
    if({{ timezone }} = 'UTC', {{ utc_day(instant) }}, cast(timezone({{ timezone }}, {{ instant }}) as date))
{%- endmacro %}

{% macro rejected_day(relation) -%}
    {#- The day that a rejected line counts on: that of its landing where it gave no readable time. -#}
    coalesce({{ utc_day(relation ~ ".occurred_at") }}, {{ relation }}.landed_on)
{%- endmacro %}

{% macro same_cell(left, right) -%}
    {#- Both rows are of one cell of the profile. -#}
    {{ left }}.workspace_id = {{ right }}.workspace_id
    and {{ left }}.source = {{ right }}.source
    and {{ left }}.event_name = {{ right }}.event_name
    and {{ left }}.day = {{ right }}.day
{%- endmacro %}
