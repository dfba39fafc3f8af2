{% macro shows_intent(property_types) -%}
    {#- An event that names a product or a category: told by the names and types of its properties, few different texts.
        The properties themselves are not read. -#}
    (
        regexp_matches({{ property_types }}, '(^|\x1f)(category|product_id|sku)[\x1f\x1e]')
        and (
            not contains({{ property_types }}, 'NULL')
            {%- for name in ["category", "product_id", "sku"] %}
            or coalesce({{ engine_type_of("'" ~ name ~ "'", property_types) }}, 'NULL') <> 'NULL'
            {%- endfor %}
        )
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

{% macro facts_of_set(events) -%}
    {%- set is_live = events ~ ".deletion <> 'deleted'" -%}
    {#- What the live events say under one identifier set: columns of touched_sets and identifier_sets. -#}
    min({{ events }}.occurred_at) filter (where {{ is_live }}) as first_occurred_at,
    max({{ events }}.occurred_at) filter (where {{ is_live }}) as last_occurred_at,
    count(*) filter (where {{ is_live }}) as event_count,
    -- An order is no look.
    max({{ events }}.occurred_at)
    filter (where {{ is_live }} and {{ events }}.goal_type is null and {{ shows_intent(events ~ ".property_types") }})
        as last_look_at
{%- endmacro %}
