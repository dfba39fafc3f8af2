{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {#-
        What a model and its columns are described as, kept with the table, in one statement. A table that this run only
        adds to has its comments since it was made.
    -#}
    {%- if not is_incremental() -%}
        {%- set comments = [] -%}
        {%- if for_relation and config.persist_relation_docs() and model.description -%}
            {%- do comments.append(alter_relation_comment(relation, model.description)) -%}
        {%- endif -%}
        {%- if for_columns and config.persist_column_docs() -%}
            {%- for column in model.columns.values() if column.description -%}
                {%- do comments.append(
                    "comment on column " ~ relation ~ "." ~ adapter.quote(column.name)
                    ~ " is " ~ duckdb_escape_comment(column.description) ~ ";"
                ) -%}
            {%- endfor -%}
        {%- endif -%}
        {%- if comments -%}{%- do run_query(comments | join("\n")) -%}{%- endif -%}
    {%- endif -%}
{%- endmacro %}
