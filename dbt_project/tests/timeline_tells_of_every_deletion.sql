-- A repeated event is deleted exactly when the last deletion or restoration that its timeline shows is a deletion.
with last_told as (
    select
        event_id,
        arg_max(entry_type, version_number) as entry_type
    from {{ ref("event_history") }}
    where entry_type in ('event.deleted', 'event.restored')
    group by event_id
)

select
    events.event_id,
    events.deletion,
    last_told.entry_type
from {{ ref("events") }} as events
left join last_told on events.event_id = last_told.event_id
where
    events.version_count > 1
    and (events.deletion = 'deleted') <> coalesce(last_told.entry_type = 'event.deleted', false)
