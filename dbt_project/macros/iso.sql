{% macro iso(instant) -%}
    {#- An instant as text in UTC, for JSON. -#}
    strftime({{ instant }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')
{%- endmacro %}
