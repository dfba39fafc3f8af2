{{ config(schema="work", materialized="incremental", incremental_strategy="append") }}

-- Contacts that runs touched since segments were judged last: the segment stage empties it.
-- Grain: one row for each run that touched the contact.
select
    workspace_id,
    contact_id
from {{ ref("touched_contacts") }}
