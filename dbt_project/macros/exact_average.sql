{% macro exact_average(value) -%}
    {#- The mean of a decimal(18, 4) in ten-thousandths, rounded half away from zero; no float in between. -#}
    (
        (
            2 * cast(sum({{ value }}) * 10000 as hugeint)
            + sign(sum({{ value }})) * count({{ value }})
        ) // nullif(2 * count({{ value }}), 0)
    ) / 10000
{%- endmacro %}
