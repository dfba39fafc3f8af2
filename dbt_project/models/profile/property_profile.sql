-- Each defined property by day. From the shapes of the reports: their property values are not read again.
with shapes as (
    select
        workspace_id,
        source,
        event_name,
        day,
        property_types,
        flags,
        sum(reports) as reports
    from {{ ref("event_shapes") }}
    group by all
),

declared as (
    select * from {{ source("run", "declared_properties") }}
),

-- What was sent under the property's name, or else under one of its aliases.
spelled as (
    select
        shapes.*,
        declared.property,
        declared.type,
        declared.is_required,
        declared.place,
        {{ engine_type_of("declared.spelling", "shapes.property_types") }} as engine_type
    from shapes
    inner join declared on shapes.event_name = declared.event_name
),

seen as (
    select
        workspace_id,
        source,
        event_name,
        day,
        property,
        type,
        is_required,
        reports,
        coalesce(list_contains(flags, 'coerced:' || property), false) as is_coerced,
        arg_min({{ json_type_name("engine_type") }}, place) filter (where engine_type <> 'NULL') as seen_type
    from spelled
    group by workspace_id, source, event_name, day, property, type, is_required, reports, property_types, flags
),

counted as (
    select
        workspace_id,
        source,
        event_name,
        day,
        property,
        type,
        is_required,
        cast(sum(reports) as bigint) as reports,
        cast(coalesce(sum(reports) filter (where seen_type is not null), 0) as bigint) as filled,
        cast(coalesce(sum(reports) filter (where is_coerced), 0) as bigint) as coerced,
        cast(coalesce(sum(reports) filter (
            where not is_coerced and seen_type <> case type when 'date' then 'string' else type end
        ), 0) as bigint) as mistyped
    from seen
    group by workspace_id, source, event_name, day, property, type, is_required
)

select
    counted.*,
    round((counted.reports - counted.filled) / counted.reports, 6) as null_rate,
    round(counted.coerced / counted.reports, 6) as coercion_rate,
    round(counted.mistyped / counted.reports, 6) as mistyped_rate,
    profile.run_id
from counted
inner join {{ ref("event_profile") }} as profile
    on {{ same_cell("counted", "profile") }}
