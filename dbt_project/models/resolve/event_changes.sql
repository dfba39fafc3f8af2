-- What each report of a repeated event changed of it, told as JSON: only reports that changed something.
-- Grain: event_id and version_number.
with states as (
    select * from {{ ref("event_states") }}
),

edits as (
    select
        after.event_id,
        after.version_number,
        {{ event_as_json("before", is_known="before.is_known") }} as old,
        {{ event_as_json("after", is_known="before.is_known") }} as new
    from states as after
    inner join states as before
        on after.event_id = before.event_id and after.version_number = before.version_number + 1
    -- Most reports repeat an earlier one word for word: they are not worth being written as JSON.
    where
        (after.content_version, after.occurred_at, after.goal_type, after.goal_name, after.value, after.currency)
        is distinct from
        (before.content_version, before.occurred_at, before.goal_type, before.goal_name, before.value, before.currency)
        or after.deleted_at is distinct from before.deleted_at
)

select
    event_id,
    version_number,
    {{ json_changes("old", "new") }} as changes
from edits
