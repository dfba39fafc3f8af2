{% macro stored_table(schema, name) -%}
    {#- A table as the last run left it, none before the first run. Not a ref: it is built from what reads it. -#}
    {%- if execute -%}
        {%- set relation = adapter.get_relation(database=target.database, schema=schema, identifier=name) -%}
        {%- do return(relation) -%}
    {%- endif -%}
{%- endmacro %}

{% macro stored_events() -%}
    {#- The table events as the last run left it. -#}
    {%- do return(stored_table("main", "events")) -%}
{%- endmacro %}
