{% macro utc_day(instant) -%}
    {#- The UTC day of an instant. -#}
    cast({{ instant }} at time zone 'UTC' as date)
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
