{% macro keep_sides_of_joins() -%}
    {#- Pre-hook of a model whose joins have the small side on the right: behind anti joins and several conditions the
        engine takes the large one for smaller, and would put every column of all events into a hash table. -#}
    set disabled_optimizers = 'build_side_probe_side'
{%- endmacro %}

{% macro choose_sides_of_joins() -%}
    {#- Post-hook after keep_sides_of_joins(): the engine chooses again. -#}
    reset disabled_optimizers
{%- endmacro %}
