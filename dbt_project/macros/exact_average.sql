{% macro exact_quotient(total, count) -%}
    {#- A decimal(38, 4) by a count, in ten-thousandths, rounded half away from zero; no float in between. -#}
    (
        (
            2 * cast({{ total }} * 10000 as hugeint)
            + sign({{ total }}) * {{ count }}
        ) // nullif(2 * {{ count }}, 0)
    ) / 10000
{%- endmacro %}

{% macro exact_average(value) -%}
    {#- The mean of a decimal(18, 4), exactly as above. -#}
    {{ exact_quotient("sum(" ~ value ~ ")", "count(" ~ value ~ ")") }}
{%- endmacro %}
