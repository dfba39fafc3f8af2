{% macro report_columns(relation=none, except=[]) -%}
    {#- What is kept of an accepted line. The same list as REPORT_COLUMNS in eventpipe/warehouse/plan.py (a test compares). -#}
    {%- set prefix = relation ~ "." if relation else "" -%}
    {%- set columns = [
        "workspace_id", "event_id", "event_name", "raw_event_name", "kind", "occurred_at", "customer_id", "email",
        "phone", "anonymous_id", "identifiers", "dedupe_key", "order_id", "order_key", "goal_type", "goal_name",
        "value", "currency", "properties", "property_types", "extra", "traits", "deletion", "deleted_at", "flags",
        "coercions", "violations", "definition_version", "source", "landed_on", "file", "line", "index",
    ] | reject("in", except) | list -%}
    {%- for column in columns %}
    {{ prefix }}{{ column }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
