{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_sets'), ['workspace_id', 'identifiers']) }}",
) }}

-- What the live events say under each identifier set. Grain: workspace_id and identifiers.
select * from {{ ref("touched_sets") }}
where event_count > 0
