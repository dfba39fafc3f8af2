{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Schemas are called as the project names them; dbt would put the target's schema before. -#}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
