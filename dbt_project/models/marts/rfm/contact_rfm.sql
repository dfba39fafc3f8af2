{{ config(
    materialized="incremental",
    incremental_strategy="append",
    pre_hook="{{ replace_touched(ref('touched_contacts'), ['workspace_id', 'contact_id']) }}",
    post_hook=[
        {"sql": "{{ let_days_pass(this) }}", "transaction": false},
        {"sql": "{{ keep_sides_of_joins() }}", "transaction": false},
        {"sql": "{{ score_everybody(this, ref('touched_contacts')) }}", "transaction": false},
        {"sql": "{{ choose_sides_of_joins() }}", "transaction": false},
    ],
) }}

-- What touched contacts ordered. Days pass and others order too: what that changes is set for everybody afterwards,
-- once the rows are committed: changed in their own transaction, all of them would be written into the log. A run that
-- ends in between is followed by one that rebuilds.
with snapshots as (
    select
        workspaces.workspace_id,
        {{ local_day("parameters.as_of", "settings.timezone") }} as snapshot_on
    from (select distinct workspace_id from {{ ref("touched_order_days") }}) as workspaces
    cross join {{ source("run", "rfm_settings") }} as settings
    cross join {{ source("run", "parameters") }} as parameters
),

measured as (
    {{ measured(ref("touched_order_days"), "snapshots") }}
)

select
    measured.workspace_id,
    measured.contact_id,
    measured.currency,
    measured.recency_days,
    measured.frequency,
    measured.monetary,
    measured.gross,
    measured.refunds,
    {{ avg_order_value("measured") }} as avg_order_value,
    measured.first_order_at,
    measured.last_order_at,
    cast(null as integer) as r_score,
    cast(null as integer) as f_score,
    cast(null as integer) as m_score,
    cast(null as varchar) as rfm_score,
    cast(null as varchar) as rfm_segment,
    {{ btyd("measured", "measured.snapshot_on") }},
    parameters.run_id
from measured
cross join {{ source("run", "parameters") }} as parameters
