{{ config(materialized="view") }}

-- Named without the database: the published copy of it has another name.
select
    workspace_id,
    nullif(event_name, '') as event_name,
    source,
    day,
    accepted,
    rejected,
    duplicates,
    late
from {{ ref("event_profile").include(database=false) }}
