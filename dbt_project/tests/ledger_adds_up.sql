-- Promise 1: every line of every export is accepted, rejected or blank, and every accepted one is a version of an
-- event.
with exports as (
    select
        source,
        landed_on,
        file,
        lines,
        accepted,
        rejected,
        blank
    from {{ ref("ledger") }}
),

versions as (
    select
        source,
        landed_on,
        file,
        count(*) as versions
    from {{ ref("event_versions") }}
    group by source, landed_on, file
),

rejects as (
    select
        source,
        landed_on,
        file,
        count(*) as rejects
    from {{ ref("rejected_events") }}
    group by source, landed_on, file
)

select
    exports.*,
    versions.versions,
    rejects.rejects
from exports
left join versions
    on exports.source = versions.source and exports.landed_on = versions.landed_on and exports.file = versions.file
left join rejects
    on exports.source = rejects.source and exports.landed_on = rejects.landed_on and exports.file = rejects.file
where
    exports.lines <> exports.accepted + exports.rejected + exports.blank
    or exports.accepted <> coalesce(versions.versions, 0)
    or exports.rejected <> coalesce(rejects.rejects, 0)
