{{ config(
    tags=["by_event"],
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(source('run', 'changed_exports'), ['source', 'landed_on', 'file']) }}",
) }}

select
    new_rows.workspace_id,
    new_rows.source,
    new_rows.landed_on,
    new_rows.file,
    new_rows.line,
    new_rows.index,
    new_rows.reasons,
    new_rows.event_name,
    new_rows.occurred_at,
    new_rows.raw,
    new_rows.raw_is_base64,
    new_rows.definition_version,
    parameters.run_id
from {{ source("run", "new_rows") }} as new_rows
cross join {{ source("run", "parameters") }} as parameters
where new_rows.status = 'rejected'
