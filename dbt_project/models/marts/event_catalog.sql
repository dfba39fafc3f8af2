with versions as (
    select * from {{ ref("event_shapes") }}
),

rejected as (
    select
        event_name,
        count(*) as rejected
    from {{ ref("rejected_events") }}
    where event_name is not null
    group by event_name
),

named as (
    select
        event_name,
        cast(sum(reports) as bigint) as accepted,
        cast(coalesce(sum(reports) filter (where status = 'current'), 0) as bigint) as events,
        list_sort(list(distinct source)) as sources,
        list_sort(list(distinct raw_event_name) filter (where raw_event_name <> event_name)) as spellings,
        list_sort(
            list(distinct definition_version) filter (where definition_version is not null)
        ) as definition_versions,
        cast(sum(coercions) as bigint) as coercions,
        cast(sum(violating) as bigint) as violating,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from versions
    group by event_name
),

shapes as (
    select
        event_name,
        property_types,
        sum(reports) as seen
    from versions
    -- Of an event with an empty object there is nothing but the sign between names and types.
    where coalesce(property_types, '') not in ('', chr(30))
    group by event_name, property_types
),

typed as (
    select
        event_name,
        seen,
        unnest(string_split(string_split(property_types, chr(30))[1], chr(31))) as name,
        unnest(string_split(string_split(property_types, chr(30))[2], chr(31))) as json_type
    from shapes
),

properties as (
    select
        event_name,
        name,
        {{ json_type_name("json_type") }} as type,
        cast(sum(seen) as bigint) as seen
    from typed
    group by event_name, name, type
),

property_names as (
    select
        event_name,
        name,
        list_sort(list(distinct type) filter (where type <> 'null')) as types,
        sum(seen) filter (where type <> 'null') as filled
    from properties
    group by event_name, name
),

property_lists as (
    select
        property_names.event_name,
        list(
            {
                'name': property_names.name,
                'types': property_names.types,
                'fill_rate': round(coalesce(property_names.filled, 0) / named.accepted, 4)
            } order by property_names.name
        ) as properties
    from property_names
    inner join named on property_names.event_name = named.event_name
    group by property_names.event_name
),

-- Names that differ by case, blanks and separators only are drift: shown, never merged silently.
lookalikes as (
    select
        {{ name_skeleton("event_name") }} as skeleton,
        list_sort(list(event_name)) as names
    from named
    group by skeleton
    having count(*) > 1
)

select
    parameters.workspace_id,
    coalesce(named.event_name, rejected.event_name) as event_name,
    definitions.description,
    definitions.definition_version,
    coalesce(named.definition_versions, []) as judged_by_versions,
    coalesce(named.sources, []) as sources,
    coalesce(named.spellings, []) as spellings,
    coalesce(named.accepted, 0) as accepted,
    coalesce(named.events, 0) as events,
    coalesce(rejected.rejected, 0) as rejected,
    coalesce(named.coercions, 0) as coercions,
    coalesce(named.violating, 0) as violating,
    named.first_seen_at,
    named.last_seen_at,
    coalesce(property_lists.properties, []) as properties,
    coalesce(
        list_filter(lookalikes.names, lambda name: name <> named.event_name), cast([] as varchar[])
    ) as drift
from named
full join rejected on named.event_name = rejected.event_name
cross join {{ source("run", "parameters") }} as parameters
left join property_lists on named.event_name = property_lists.event_name
left join lookalikes on {{ name_skeleton("named.event_name") }} = lookalikes.skeleton
left join {{ source("run", "definitions") }} as definitions
    on coalesce(named.event_name, rejected.event_name) = definitions.event_name
