{% macro name_skeleton(name) -%}
    {#- What is left of an event name without case, blanks and separators. -#}
    regexp_replace(lower({{ name }}), '[\s._/:-]+', '', 'g')
{%- endmacro %}

{% macro json_type_name(engine_type) -%}
    {#- The JSON type behind the engine's name for it. -#}
    case {{ engine_type }}
        when 'VARCHAR' then 'string'
        when 'ARRAY' then 'array'
        when 'OBJECT' then 'object'
        when 'BOOLEAN' then 'boolean'
        when 'NULL' then 'null'
        else 'number'
    end
{%- endmacro %}

{% macro engine_type_of(name, property_types) -%}
    {#- The engine's name for the type of a property, from `property_types`; null where there is no such property. -#}
    string_split(string_split({{ property_types }}, chr(30))[2], chr(31))[
        list_position(string_split(string_split({{ property_types }}, chr(30))[1], chr(31)), {{ name }})
    ]
{%- endmacro %}
