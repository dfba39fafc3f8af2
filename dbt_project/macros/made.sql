{#-
    Where a rebuild was computed on a cluster (eventpipe.cluster), its tables are filled with the rows that the cluster has
    made of the same select. The engine says of that select which columns it has, and of which types.
-#}

{% macro rows_of(select) -%}
    {%- set made = var("made", {}).get(model.name) -%}
    {%- if not made -%}
        {{ select }}
    {%- else -%}
        select
            {%- for column in run_query("describe " ~ select).rows %}
            cast({{ adapter.quote(column[0]) }} as {{ column[1] }}) as {{ adapter.quote(column[0]) }}
            {%- if not loop.last %},{% endif %}
            {%- endfor %}
        from {{ made }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__create_table_as(temporary, relation, compiled_code, language="sql") -%}
    {#- How dbt makes the table of an incremental model when there is none yet. -#}
    {{ dbt.duckdb__create_table_as(temporary, relation, rows_of(compiled_code), language, **kwargs) }}
{%- endmacro %}
