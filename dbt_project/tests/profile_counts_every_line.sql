-- Every accepted report that is due and every rejected line counts in the profile once, and the catalogue agrees.
with profile as (
    select
        coalesce(sum(accepted), 0) as accepted,
        coalesce(sum(rejected), 0) as rejected
    from {{ ref("event_profile") }}
),

versions as (
    select count(*) as accepted
    from {{ ref("event_versions") }}
    where status <> 'future'
),

catalogue as (
    select coalesce(sum(accepted), 0) as accepted
    from {{ ref("event_catalog") }}
),

rejects as (
    select count(*) as rejected
    from {{ ref("rejected_events") }}
)

select
    profile.accepted,
    profile.rejected,
    versions.accepted as counted_accepted,
    catalogue.accepted as catalogued,
    rejects.rejected as counted_rejected
from profile
cross join versions
cross join catalogue
cross join rejects
where
    profile.accepted <> versions.accepted
    or profile.accepted <> catalogue.accepted
    or profile.rejected <> rejects.rejected
