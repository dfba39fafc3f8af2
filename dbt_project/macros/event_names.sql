{% macro name_skeleton(name) -%}
    {#- What is left of an event name without case, blanks and separators. -#}
    regexp_replace(lower({{ name }}), '[\s._/:-]+', '', 'g')
{%- endmacro %}

{% macro json_type_name(first_character) -%}
    {#- The JSON type of a value by its first character. -#}
    case {{ first_character }}
        when '"' then 'string'
        when '[' then 'array'
        when '{' then 'object'
        when 't' then 'boolean'
        when 'f' then 'boolean'
        when 'n' then 'null'
        else 'number'
    end
{%- endmacro %}
