{% macro stored_events() -%}
    {#- The table events as the last run left it, none before the first run. Not a ref: it is built from what reads it. -#}
    {%- if execute -%}
        {%- set relation = adapter.get_relation(database=target.database, schema="main", identifier="events") -%}
        {%- do return(relation) -%}
    {%- endif -%}
{%- endmacro %}
