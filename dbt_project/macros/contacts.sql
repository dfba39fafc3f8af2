{% macro shows_intent(properties, property_types) -%}
    {#- An event that names a product or a category. Looked for among the names of its properties, few different texts;
        the properties are only read where some value is null. -#}
    (
        regexp_matches({{ property_types }}, '(^|\x1f)(category|product_id|sku)[\x1f\x1e]')
        and (not contains({{ properties }}, 'null') or {{ intent(properties) }} is not null)
    )
{%- endmacro %}

{% macro intent(properties) -%}
    {#- The category, else the product, that properties name. -#}
    coalesce(
        json_extract_string({{ properties }}, '$.category'),
        json_extract_string({{ properties }}, '$.product_id'),
        json_extract_string({{ properties }}, '$.sku')
    )
{%- endmacro %}
