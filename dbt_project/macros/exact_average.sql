{% macro exact_quotient(total, count) -%}
    {#- A decimal(38, 4) by a count, in ten-thousandths, rounded half away from zero; no float in between. Of totals with 10
        digits before the point in numbers of 64 bits, which costs a tenth. -#}
    coalesce(
        {{ quotient_of("try_cast(" ~ total ~ " as decimal(14, 4))", total, count, "bigint") }},
        {{ quotient_of(total, total, count, "hugeint") }}
    )
{%- endmacro %}

{% macro quotient_of(dividend, total, count, whole) -%}
    cast(
        (
            2 * cast({{ dividend }} * 10000 as {{ whole }}) + sign({{ total }}) * {{ count }}
        ) // nullif(2 * {{ count }}, 0) as decimal(38, 0)
    ) * cast(0.0001 as decimal(4, 4))
{%- endmacro %}

{% macro exact_average(value) -%}
    {#- The mean of a decimal(18, 4), exactly as above. -#}
    {{ exact_quotient("sum(" ~ value ~ ")", "count(" ~ value ~ ")") }}
{%- endmacro %}
