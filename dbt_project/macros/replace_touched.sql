{% macro replace_touched(touched, keys) -%}
    {#- Pre-hook of incremental models: take out the rows whose keys this run recomputes, so that appending is exact.
        Given as text, so that it is rendered when the model runs: is_incremental() is not known before. -#}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where ({{ keys | join(", ") }}) in (select ({{ keys | join(", ") }}) from {{ touched }})
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}

{% macro follow_moved_sets() -%}
    {#- Pre-hook of events: an event follows its identifier set to the set's new contact. -#}
    {%- if is_incremental() -%}
    update {{ this }} as stored
    set contact_id = moved.new_contact_id
    from {{ source("run", "moved_sets") }} as moved
    where stored.workspace_id = moved.workspace_id and stored.identifiers = moved.identifiers
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}

{% macro drop_changed_snapshots(changed) -%}
    {#- Pre-hook of contact_rfm_history: take out what a change of the past makes wrong. -#}
    {%- if is_incremental() -%}
    delete from {{ this }} as stored
    using {{ changed }} as changed
    where stored.workspace_id = changed.workspace_id and stored.snapshot_on >= changed.day
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
