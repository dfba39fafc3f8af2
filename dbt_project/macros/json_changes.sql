{% macro json_changes(old, new) -%}
    {#- {"key": {"old": ..., "new": ...}} for each top-level key that two JSON objects do not share; null when equal. -#}
    nullif(
        '{' || array_to_string(
            list_transform(
                list_filter(
                    list_sort(list_distinct(list_concat(
                        coalesce(json_keys({{ old }}), []), coalesce(json_keys({{ new }}), [])
                    ))),
                    lambda k: json_extract({{ old }}, '$."' || replace(k, '"', '\"') || '"')
                        is distinct from json_extract({{ new }}, '$."' || replace(k, '"', '\"') || '"')
                ),
                lambda k: to_json(k) || ':{"old":'
                    || coalesce(json_extract({{ old }}, '$."' || replace(k, '"', '\"') || '"'), 'null')
                    || ',"new":'
                    || coalesce(json_extract({{ new }}, '$."' || replace(k, '"', '\"') || '"'), 'null') || '}'
            ),
            ','
        ) || '}',
        '{}'
    )
{%- endmacro %}
