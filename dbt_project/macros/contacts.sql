{% macro shows_intent(event_name, properties) -%}
    {#- An event that looks at a product or a category: it names one, and it is no order. -#}
    (
        {{ properties }} is not null
        and (
            contains({{ properties }}, '"category"')
            or contains({{ properties }}, '"product_id"')
            or contains({{ properties }}, '"sku"')
        )
        and coalesce(
            json_extract_string({{ properties }}, '$.category'),
            json_extract_string({{ properties }}, '$.product_id'),
            json_extract_string({{ properties }}, '$.sku')
        ) is not null
    )
{%- endmacro %}
