with snapshots as (
    select
        workspaces.workspace_id,
        {{ local_day("parameters.as_of", "settings.timezone") }} as snapshot_on
    from (select distinct workspace_id from {{ ref("order_days") }}) as workspaces
    cross join {{ source("run", "rfm_settings") }} as settings
    cross join {{ source("run", "parameters") }} as parameters
),

{{ rfm_at("snapshots") }}

select
    rfm.* exclude (snapshot_on),
    parameters.run_id
from rfm
cross join {{ source("run", "parameters") }} as parameters
