{% macro timeline_of_membership(at, entry_type, run_id) -%}
    {#- The columns of a timeline entry after the contact, for a row of segment_history. -#}
    {{ at }} as occurred_at,
        '{{ entry_type }}' as entry_type,
        null as event_name,
        null as event_id,
        null as source,
        null as goal_type,
        null as goal_name,
        null as value,
        null as currency,
        json_object('segment', segment) as properties,
        null as extra,
        null as changes,
        null as version_number,
        {{ run_id }} as run_id
{%- endmacro %}
