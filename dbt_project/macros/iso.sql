{% macro iso(instant) -%}
    {#- An instant as text in UTC, for JSON. -#}
    strftime({{ in_utc(instant) }}, '%Y-%m-%dT%H:%M:%S.%fZ')
{%- endmacro %}
