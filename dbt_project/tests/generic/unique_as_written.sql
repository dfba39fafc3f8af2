{% test unique_as_written(model, column_name) %}
    {#- No two rows share a value, asked of the values that this run wrote: of the others an earlier run asked. Where this
        run wrote every row, all of them are looked at once. -#}
    {%- set of_run = "(select run_id from " ~ source("run", "parameters") ~ ")" -%}
    {%- set older -%}
        select 1 from {{ model }} where run_id <> {{ of_run }} limit 1
    {%- endset -%}
    {%- set has_older = execute and run_query(older) | length > 0 -%}

    select
        rows_now.{{ column_name }},
        count(*) as row_count
    from {{ model }} as rows_now
    {%- if has_older %}
    inner join (select distinct {{ column_name }} from {{ model }} where run_id = {{ of_run }}) as written
        on rows_now.{{ column_name }} = written.{{ column_name }}
    {%- endif %}
    group by rows_now.{{ column_name }}
    having count(*) > 1
{% endtest %}
