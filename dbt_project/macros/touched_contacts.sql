{% macro of_touched_contacts(relation, is_update) -%}
    {#- Joins to a relation the contacts that this run computes. A rebuild computes everybody: nothing to look up. -#}
    {%- set touched = ref("touched_contacts") -%}
    {%- if is_update -%}
    inner join {{ touched }} as touched
        on {{ relation }}.workspace_id = touched.workspace_id and {{ relation }}.contact_id = touched.contact_id
    {%- endif -%}
{%- endmacro %}
