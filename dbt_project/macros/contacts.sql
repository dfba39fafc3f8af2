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

{% macro last_write_wins(objects, moment) -%}
    {#- Many JSON objects of a group as one: per key the value that was written last; null takes a key away. -#}
    list_reduce(
        list_prepend(cast('{}' as json), list({{ objects }} order by {{ moment }})),
        lambda merged, object: json_merge_patch(merged, object)
    )
{%- endmacro %}
