{% macro landing_order(relation=none) -%}
    {#- "First landed": a total order of reports that does not depend on how exports are cut or when they are read. -#}
    {%- set prefix = relation ~ "." if relation else "" -%}
    {{ prefix }}landed_on, {{ prefix }}file, {{ prefix }}line, {{ prefix }}index
{%- endmacro %}
