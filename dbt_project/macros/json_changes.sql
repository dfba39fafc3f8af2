{% macro json_changes(old, new) -%}
    {#- {"key": {"old": ..., "new": ...}} for each top-level key that two JSON objects do not share; null when equal.
        Keys are data: a JSON pointer takes every one of them as it is, where a path would read "*" as all of them. -#}
    {%- set pointer = "'/' || replace(replace(k, '~', '~0'), '/', '~1')" -%}
    nullif(
        '{' || array_to_string(
            list_transform(
                list_filter(
                    list_sort(list_distinct(list_concat(json_keys({{ old }}), json_keys({{ new }})))),
                    lambda k: json_extract({{ old }}, {{ pointer }}) is distinct from json_extract({{ new }}, {{ pointer }})
                ),
                lambda k: to_json(k) || ':{"old":' || coalesce(json_extract({{ old }}, {{ pointer }}), 'null')
                    || ',"new":' || coalesce(json_extract({{ new }}, {{ pointer }}), 'null') || '}'
            ),
            ','
        ) || '}',
        '{}'
    )
{%- endmacro %}

{% macro event_as_json(state, is_known) -%}
    {#- What the timeline compares of an event as it stood (a row of event_states): its properties and some fields. Where
        only deletions are known of it, nothing but that. -#}
    case
        when {{ is_known }}
            then json_merge_patch(coalesce({{ state }}.properties, '{}'), json_object(
                'email', {{ state }}.email,
                'goal_type', {{ state }}.goal_type,
                'goal_name', {{ state }}.goal_name,
                'value', {{ state }}.value,
                'currency', {{ state }}.currency,
                'occurred_at', {{ iso(state ~ ".occurred_at") }},
                'deleted_at', {{ iso(state ~ ".deleted_at") }}
            ))
        else json_object('deleted_at', {{ iso(state ~ ".deleted_at") }})
    end
{%- endmacro %}
