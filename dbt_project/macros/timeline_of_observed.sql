{% macro timeline_of_observed(at, entry_type, properties, run_id) -%}
    {#- The columns of a timeline entry after the contact, for what a run observed at an instant. -#}
    {{ at }} as occurred_at,
        '{{ entry_type }}' as entry_type,
        null as event_name,
        null as event_id,
        null as source,
        null as goal_type,
        null as goal_name,
        null as value,
        null as currency,
        {{ properties }} as properties,
        null as extra,
        null as changes,
        null as version_number,
        {{ run_id }} as run_id
{%- endmacro %}
