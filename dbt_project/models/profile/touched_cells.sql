{{ config(tags=["by_event"], schema="work") }}

-- Cells of the profile that this run computes: those it wrote to, those it took from, and those whose events went over
-- to another contact. A line without an event name counts under the empty name, for a key is never null.
-- Grain: workspace_id, source, event_name and day.
with parameters as (
    select run_id from {{ source("run", "parameters") }}
),

events as (
    select
        events.workspace_id,
        events.source,
        events.event_name,
        {{ utc_day("events.occurred_at") }} as day
    from {{ ref("events") }} as events
    inner join parameters on events.run_id = parameters.run_id
),

history as (
    select
        history.workspace_id,
        history.source,
        history.event_name,
        {{ utc_day("history.occurred_at") }} as day
    from {{ ref("event_history") }} as history
    inner join parameters on history.run_id = parameters.run_id
),

rejected as (
    select
        rejected.workspace_id,
        rejected.source,
        coalesce(rejected.event_name, '') as event_name,
        {{ rejected_day("rejected") }} as day
    from {{ ref("rejected_events") }} as rejected
    inner join parameters on rejected.run_id = parameters.run_id
),

moved as (
    select
        events.workspace_id,
        events.source,
        events.event_name,
        {{ utc_day("events.occurred_at") }} as day
    from {{ ref("events") }} as events
    inner join {{ source("run", "moved_sets") }} as moved
        on events.workspace_id = moved.workspace_id and events.identifiers = moved.identifiers
)

select * from events
union distinct
select * from history
union distinct
select * from rejected
union distinct
select * from moved
union distinct
select
    workspace_id,
    source,
    event_name,
    day
from {{ source("run", "outdated_cells") }}
