{% test never_null(model, columns) %}
-- One pass for all of a table's columns that are never null. dbt's own not_null asks of each by itself.
select {{ columns | join(", ") }}
from {{ model }}
where
    {%- for column in columns %}
    {% if not loop.first %}or {% endif %}{{ column }} is null
    {%- endfor %}
{% endtest %}
