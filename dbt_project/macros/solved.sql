{% macro replace_solved(keys, solved_as) -%}
    {#- Pre-hook of what the identity step derives: take out the rows of identifiers that it solved anew. -#}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where ({{ keys | join(", ") }}) in (select ({{ solved_as | join(", ") }}) from {{ source("run", "solved_before") }})
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}

{% macro first_event(sets, at) -%}
    {#- The first live event of each identifier set that was taken at an instant: whose tie it was. -#}
    select
        events.workspace_id,
        events.identifiers,
        min(events.event_id) as event_id
    from {{ ref("events") }} as events
    inner join (select distinct workspace_id, identifiers, {{ at }} from {{ sets }}) as taken
        on
            events.workspace_id = taken.workspace_id
            and events.identifiers = taken.identifiers
            and events.occurred_at = taken.{{ at }}
    where events.deletion <> 'deleted'
    group by events.workspace_id, events.identifiers
{%- endmacro %}
